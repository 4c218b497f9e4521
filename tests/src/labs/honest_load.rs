//! Ordinary services under load.

use std::process::Command;

use super::{
    Expected, Situation, here, honest, there,
    tools::{
        answer_all, answer_once, any, ask, ask_once, connect_many, every, listen, ready, remote, serve,
        server,
    },
};
use crate::{netns::Namespace, process::output};

pub(super) const ALL: &[Situation] = &[
    honest(
        "short_connections_at_200_per_second",
        &[here("server", answers_in_line), there("clients", hurry)],
    ),
    honest("busy_keep_alive_clients", &[here("server", answers), there("clients", stay)]),
    Situation {
        name: "path_that_loses_one_percent",
        expected: Expected::Nothing,
        wait: None,
        roles: &[here("server", answers_behind_loss), there("clients", stay_and_come)],
        lacks: || {
            let can_lose = Namespace::usual().run(|| lose("lo"));
            (!can_lose).then_some("neither sch_netem nor nftables is there")
        },
    },
];

fn answers() {
    server(answer_all);
}

fn answers_in_line() {
    let listener = listen(any(), 128);
    ready();
    loop {
        answer_once(listener.accept().expect("accept").0);
    }
}

fn hurry() {
    ready();
    every(5, || ask_once(remote()));
}

fn stay() {
    let mut all = connect_many(remote(), 30);
    ready();
    every(200, || all.iter_mut().for_each(ask));
}

/// Makes a device lose one packet in a hundred: by `sch_netem`, with a delay, or by nftables. `false` if neither is
/// available.
fn lose(device: &str) -> bool {
    let netem = format!("tc qdisc add dev {device} root netem delay 5ms loss 1%");
    let nft = format!(
        "nft 'add table ip loss; add chain ip loss in {{ type filter hook input priority 0; }}; \
         add rule ip loss in iif {device} numgen random mod 100 < 1 drop'"
    );
    [netem, nft].iter().any(|command| output(Command::new("sh").args(["-c", command])).status.success())
}

fn answers_behind_loss() {
    let listener = listen(any(), 128);
    assert!(lose("veth0"), "it was tried before");
    ready();
    serve(&listener, answer_all);
}

fn stay_and_come() {
    let mut all = connect_many(remote(), 10);
    ready();
    every(500, || {
        all.iter_mut().for_each(ask);
        ask_once(remote());
    });
}
