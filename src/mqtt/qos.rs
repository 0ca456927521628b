//! The quality of service of each kind of message.

use rumqttc::QoS;

/// Of commands and of everything that is subscribed to: a duplicate does no harm. Our PUBACK
/// piggybacks the TCP ACK; without it, Nagle's algorithm and delayed ACK add some 40 ms before the
/// broker sends the next small packet.
pub const COMMANDS: QoS = QoS::AtLeastOnce;
/// Of states: a connection loses nothing, and after a reconnect everything is published again. The
/// broker's PUBACKs would only add those 40 ms to the commands behind them.
pub const STATES: QoS = QoS::AtMostOnce;
