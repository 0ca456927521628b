//! Password authentication: the login page, the browser's session and the throttle on guesses.

pub mod login;
mod session;
mod throttle;
