//! Transfers that wait for a reader, which does read.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use super::{
    Situation, here, honest,
    options::small_buffers,
    there,
    tools::{connect, pause, ready, remote, server},
};

pub(super) const ALL: &[Situation] = &[
    honest("upload_to_a_slow_reader", &[here("server", reads_slowly), there("client", uploads)]),
    honest("pager_that_pauses_for_3_s", &[here("server", sends), there("pager", pauses)]),
    honest("transfer_with_full_send_buffers", &[here("server", reads), there("client", uploads)]),
    honest("stream_at_its_own_pace", &[here("server", streams), there("player", plays)]),
];

/// Reads this many bytes at this interval, until the stream ends.
fn read_at(mut stream: TcpStream, bytes: usize, ms: u64) {
    let mut buffer = vec![0; bytes];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        pause(ms);
    }
}

fn reads_slowly() {
    server(|stream| {
        small_buffers(&stream);
        read_at(stream, 8_192, 200);
    });
}

fn reads() {
    server(|stream| read_at(stream, 65_536, 50));
}

fn upload(mut stream: TcpStream) {
    while stream.write_all(&vec![0; 32_768]).is_ok() {}
}

fn uploads() {
    let stream = connect(remote());
    small_buffers(&stream);
    ready();
    upload(stream);
}

fn sends() {
    server(|stream| {
        small_buffers(&stream);
        upload(stream);
    });
}

/// A reader that pauses, as a person does after each page.
fn pauses() {
    let stream = connect(remote());
    small_buffers(&stream);
    ready();
    read_at(stream, 65_536, 3_000);
}

fn streams() {
    server(|mut stream| {
        while stream.write_all(&vec![0; 20_000]).is_ok() {
            pause(1_000);
        }
    });
}

fn plays() {
    let stream = connect(remote());
    ready();
    read_at(stream, 65_536, 1);
}
