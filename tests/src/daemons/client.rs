//! A client of a server that replies in lines.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(10);

/// A connection to a server that replies in lines.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Makes this many connections.
    pub fn many(server: SocketAddr, count: usize) -> Vec<Self> {
        let connect = |_| Self::connect(server).unwrap_or_else(|error| panic!("{server}: {error}"));
        (0..count).map(connect).collect()
    }

    /// Makes this many connections, and has a request served on each.
    pub fn served(
        server: SocketAddr,
        count: usize,
        request: impl Fn(&mut Self) -> io::Result<()>,
    ) -> Vec<Self> {
        let mut clients = Self::many(server, count);
        for client in &mut clients {
            request(client).expect("an answer");
        }
        clients
    }

    /// Makes this many connections, sends this text on each, and waits.
    pub fn waiting(server: SocketAddr, count: usize, text: &str) -> Vec<Self> {
        Self::served(server, count, |client| client.send(text))
    }

    /// Sends a text, and reads nothing.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    /// Sends a text repeatedly until the server takes no more for a second, or until `end`; returns whether the client
    /// waits.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn fill(&mut self, text: &str, end: Instant) -> io::Result<bool> {
        self.0.get_ref().set_write_timeout(Some(Duration::from_secs(1)))?;
        while Instant::now() < end {
            match self.send(text) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads this many bytes and discards them; returns the number.
    ///
    /// # Errors
    /// The connection is broken or ended.
    pub fn take(&mut self, bytes: usize) -> io::Result<u64> {
        self.0.read_exact(&mut vec![0; bytes])?;
        Ok(bytes as u64)
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// The connection is broken or ended.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Sends a request, and reads lines up to the first for which `is_last` is true.
    ///
    /// # Errors
    /// The connection is broken or ended.
    pub fn ask(&mut self, question: &str, is_last: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        self.send(question)?;
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let done = is_last(&line);
            lines.push(line);
            if done {
                return Ok(lines);
            }
        }
    }

    /// The body of an HTTP response that has a length.
    ///
    /// # Errors
    /// The connection is broken or ended, or the status is not 200.
    pub fn get(&mut self, path: &str) -> io::Result<String> {
        let head = self.ask(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"), str::is_empty)?;
        let length = head.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
        self.0.read_exact(&mut body)?;
        match head.first() {
            Some(first) if first.contains(" 200 ") => Ok(String::from_utf8_lossy(&body).into_owned()),
            _ => Err(io::Error::other(head.join("\n"))),
        }
    }
}

/// The bytes of the request of [`get`].
pub const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Makes the request of a browser.
///
/// # Errors
/// As [`Client::get`].
pub fn get(client: &mut Client) -> io::Result<()> {
    client.get("/").map(drop)
}
