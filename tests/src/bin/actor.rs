//! A separate process with a socket. `actor WHAT ...` waits for a line on its standard input, acts, prints a line, and
//! waits until its standard input ends. Then it exits without closing anything itself.
//!
//! - `connect ADDRESS`, `listen ADDRESS`: opens a socket, and prints its local address.
//! - `serve COUNT ADDRESS`: listens, together with COUNT children, and prints their process ids.
//! - `send PATH ADDRESS`: listens, passes the listener on through the Unix socket at the path, and prints its address.
//! - `receive PATH`: makes that Unix socket at once; receives a descriptor there, and prints its local address.
//! - `daemon ADDRESS`, `leave ADDRESS`: listens or connects, leaves the socket to a child, prints the child's process
//!   id and the local address, and ends. The child waits for standard input to end.
//! - `thread ADDRESS`: connects in a thread of another name, and prints its local address.
//! - `flash ADDRESS`: connects and ends.
//! - `pair ADDRESS`: listens, connects to itself, and prints the client's address.
//! - `keep`: keeps the descriptors that it inherits open.
//! - `play SITUATION ROLE`: plays a role of a situation of the labs at once, until it is killed; see `tcptrace_tests::labs`.

use std::{
    env,
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd as _, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    process::{self, Child, Command, Stdio},
    thread,
};

use nix::{
    cmsg_space,
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, getsockname, recvmsg, sendmsg,
    },
};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["play", situation, role] = arguments[..] {
        tcptrace_tests::labs::play(situation, role);
    }
    // The Unix socket must exist before the line on standard input arrives.
    let inbox = if let ["receive", path] = arguments[..] { Some(UnixListener::bind(path)?) } else { None };
    io::stdin().read_line(&mut String::new())?;
    let (line, kept): (String, Box<dyn std::any::Any>) = match arguments[..] {
        ["connect", address] => {
            let stream = TcpStream::connect(address)?;
            (stream.local_addr()?.to_string(), Box::new(stream))
        }
        ["listen", address] => {
            let listener = TcpListener::bind(address)?;
            (listener.local_addr()?.to_string(), Box::new(listener))
        }
        ["pair", address] => {
            let listener = TcpListener::bind(address)?;
            let client = TcpStream::connect(address)?;
            (client.local_addr()?.to_string(), Box::new((listener.accept()?, client)))
        }
        ["daemon", address] => {
            let listener = TcpListener::bind(address)?;
            return leave(&listener, listener.local_addr()?);
        }
        ["leave", address] => {
            let stream = TcpStream::connect(address)?;
            return leave(&stream, stream.local_addr()?);
        }
        ["thread", address] => {
            let address = address.to_owned();
            let thread = thread::Builder::new().name("pool-7".to_owned());
            let stream = thread.spawn(|| TcpStream::connect(address))?.join();
            let stream = stream.map_err(|_| io::Error::other("the thread failed"))??;
            (stream.local_addr()?.to_string(), Box::new(stream))
        }
        ["flash", address] => {
            std::mem::forget(TcpStream::connect(address)?);
            process::exit(0)
        }
        ["serve", count, address] => {
            let listener = TcpListener::bind(address)?;
            let children = children(&listener, count)?;
            let ids: Vec<String> = children.iter().map(|child| child.id().to_string()).collect();
            (ids.join(" "), Box::new((listener, children)))
        }
        ["send", path, address] => {
            let listener = TcpListener::bind(address)?;
            let outbox = UnixStream::connect(path)?;
            let (data, rights) = ([IoSlice::new(b"x")], [listener.as_raw_fd()]);
            sendmsg::<()>(
                outbox.as_raw_fd(),
                &data,
                &[ControlMessage::ScmRights(&rights)],
                MsgFlags::empty(),
                None,
            )?;
            (listener.local_addr()?.to_string(), Box::new(outbox))
        }
        ["receive", _] => (received(inbox)?, Box::new(())),
        ["keep"] => (String::new(), Box::new(())),
        _ => return Err(io::Error::other(format!("{arguments:?} is nothing to do"))),
    };
    println!("{line}");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    // The kernel closes the sockets that exit() finds open; this program exists to cause that.
    std::mem::forget(kept);
    process::exit(0)
}

/// Ends, and leaves the socket to a copy of this program, which has the same standard input.
fn leave(socket: impl AsFd, local: SocketAddr) -> io::Result<()> {
    fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let child = Command::new(env::current_exe()?).arg("keep").stdout(Stdio::null()).spawn()?;
    println!("{} {local}", child.id());
    io::stdout().flush()?;
    process::exit(0)
}

/// Starts this many copies of this program that also have the listener. They read a pipe of this process, so they end
/// with it.
fn children(listener: &TcpListener, count: &str) -> io::Result<Vec<Child>> {
    fcntl(listener, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let count: usize = count.parse().map_err(io::Error::other)?;
    let mut children = Vec::new();
    for _ in 0..count {
        let mut command = Command::new(env::current_exe()?);
        let mut child = command.arg("keep").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.as_mut(), child.stdout.as_mut());
        stdin.ok_or_else(|| io::Error::other("no pipe"))?.write_all(b"\n")?;
        stdout.ok_or_else(|| io::Error::other("no pipe"))?.read_exact(&mut [0])?;
        children.push(child);
    }
    Ok(children)
}

/// Receives a descriptor, which stays open, and returns its local address.
fn received(inbox: Option<UnixListener>) -> io::Result<String> {
    let (stream, _) = inbox.ok_or_else(|| io::Error::other("no inbox"))?.accept()?;
    let (mut byte, mut space) = ([0], cmsg_space!([RawFd; 1]));
    let mut data = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::empty())?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(rights) = control
            && let [socket] = rights[..]
        {
            return Ok(getsockname::<SockaddrStorage>(socket)?.to_string());
        }
    }
    Err(io::Error::other("no descriptor came"))
}
