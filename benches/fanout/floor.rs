//! The floor: what a message to every other page costs when a server does nothing but write it.
//!
//! One thread and no WebSocket: a page sends the very frame that the others are to get, and each
//! gets it in one write. Whatever serves pages one message at a time pays at least this.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// An empty text frame: the page is in.
const WELCOME: [u8; 2] = [0x81, 0];

type Pages = Rc<RefCell<Vec<Rc<TcpStream>>>>;

/// Serves until it is killed.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("open http://{}", listener.local_addr().unwrap());
        let pages = Pages::default();
        loop {
            let (page, _) = listener.accept().await.unwrap();
            page.set_nodelay(true).unwrap();
            page.try_write(&WELCOME).unwrap();
            let page = Rc::new(page);
            pages.borrow_mut().push(page.clone());
            let pages = pages.clone();
            tokio::task::spawn_local(async move {
                let _ = relay(&page, &pages).await;
                pages.borrow_mut().retain(|other| !Rc::ptr_eq(other, &page));
            });
        }
    });
}

async fn relay(page: &Rc<TcpStream>, pages: &Pages) -> io::Result<()> {
    let mut unread = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        page.readable().await?;
        match page.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(size) => unread.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let mut taken = 0;
        while let Some(frame) = first_frame(&unread[taken..]) {
            for other in pages.borrow().iter() {
                if !Rc::ptr_eq(other, page) {
                    // Who does not read misses it.
                    let _ = other.try_write(frame);
                }
            }
            taken += frame.len();
        }
        unread.drain(..taken);
    }
}

fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.get(1)?);
    bytes.get(..2 + length)
}
