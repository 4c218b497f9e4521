//! Every transition of TCP that this kernel can be made to show, by both hooks: tcptrace's output agrees exactly with
//! tracefs' log and with the steps of the scenario.

mod close;
mod open;
mod process;
mod reset;
mod special;
mod timeout;
mod veth;

/// The path of a client that closes first.
const CLIENT_FIRST: &str = "CLOSE SYN_SENT! ESTABLISHED FIN_WAIT1! FIN_WAIT2 CLOSE/0";
/// The path of a server's socket whose client closes first.
const SERVER_SECOND: &str = "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK! CLOSE/0";
/// The path of a listener.
const LISTENER: &str = "CLOSE LISTEN! CLOSE!/0";
/// The path of a client whose server closes first.
const CLIENT_SECOND: &str = "CLOSE SYN_SENT! ESTABLISHED CLOSE_WAIT LAST_ACK! CLOSE/0";
/// The path of a server's socket that closes first.
const SERVER_FIRST: &str = "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! FIN_WAIT2 CLOSE/0";
