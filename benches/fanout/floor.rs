//! The floor: the cost of a message to every other client when the server does nothing but write it.
//!
//! One thread, no WebSocket: a client sends the exact frame that the others are to receive, and each of them gets it
//! in one write. A server that sends each message to each client pays at least this.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// An empty text frame, which tells a client that it is registered.
const WELCOME: [u8; 2] = [0x81, 0];

type Clients = Rc<RefCell<Vec<Rc<TcpStream>>>>;

/// Serves until the process is killed.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("open http://{}", listener.local_addr().unwrap());
        let clients = Clients::default();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            client.set_nodelay(true).unwrap();
            client.try_write(&WELCOME).unwrap();
            let client = Rc::new(client);
            clients.borrow_mut().push(client.clone());
            let clients = clients.clone();
            tokio::task::spawn_local(async move {
                let _ = relay(&client, &clients).await;
                clients
                    .borrow_mut()
                    .retain(|other| !Rc::ptr_eq(other, &client));
            });
        }
    });
}

/// Writes each frame of a client to all others, until the client disconnects.
async fn relay(client: &Rc<TcpStream>, clients: &Clients) -> io::Result<()> {
    let mut unparsed = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        client.readable().await?;
        match client.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(size) => unparsed.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let mut consumed = 0;
        while let Some(frame) = first_frame(&unparsed[consumed..]) {
            for other in clients.borrow().iter() {
                if !Rc::ptr_eq(other, client) {
                    // A client that does not read misses the frame.
                    let _ = other.try_write(frame);
                }
            }
            consumed += frame.len();
        }
        unparsed.drain(..consumed);
    }
}

/// The first complete frame, header included; only for unmasked payloads under 126 bytes.
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.get(1)?);
    bytes.get(..2 + length)
}
