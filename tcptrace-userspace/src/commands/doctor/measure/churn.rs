//! The load: short connections over loopback, as fast as one thread makes them.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

/// Makes `connections`, each closed by the client first.
pub(super) fn run(connections: u32) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    for _ in 0..connections {
        let client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        drop(client);
        drop(server);
    }
    Ok(())
}
