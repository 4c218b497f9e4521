//! `actor connect ADDRESS`, `actor listen ADDRESS`: another process with a socket. Waits for a line on its standard
//! input, makes the socket, prints its local address, then waits until its standard input ends, and exits without
//! closing anything itself.

use std::{
    env,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process,
};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, address] = &arguments[..] else {
        return Err(io::Error::other("usage: actor connect|listen ADDRESS"));
    };
    io::stdin().read_line(&mut String::new())?;
    let (local, socket): (_, Box<dyn std::any::Any>) = match what.as_str() {
        "connect" => {
            let stream = TcpStream::connect(address)?;
            (stream.local_addr()?, Box::new(stream))
        }
        "listen" => {
            let listener = TcpListener::bind(address)?;
            (listener.local_addr()?, Box::new(listener))
        }
        other => return Err(io::Error::other(format!("'{other}' is neither connect nor listen"))),
    };
    println!("{local}");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    // The kernel closes what exit() finds open; that is what this program is for.
    std::mem::forget(socket);
    process::exit(0)
}
