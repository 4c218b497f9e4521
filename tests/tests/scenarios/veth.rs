//! Two hosts: namespaces joined by a pair of devices, both traced at once.

use std::sync::mpsc::channel;

use tcptrace_tests::{
    chain::chains,
    expect::{assert_chains, path},
    fixture::{Fixture, compare, within},
    machine::{Hook, is_root},
    net::{accept, connect, listen, read_end},
    netns::Namespace,
    process::at_once,
    tracer::Tracer,
};

use super::{CLIENT_FIRST, LISTENER, SERVER_SECOND};

#[test]
fn two_namespaces() {
    if !is_root("two_namespaces") {
        return;
    }
    let world = Fixture::new();
    let peer = Namespace::new(&world.slot.ephemeral());
    world.namespace.join(&peer);
    let tracers = at_once(Hook::ALL, |hook| Tracer::start(hook, &["-o", "json"]));
    let address = ([198, 51, 100, 2], world.slot.port(0)).into();
    let (ready, listening) = channel();
    let server = peer.begin(move || {
        let listener = listen(address);
        ready.send(()).expect("the client waits");
        read_end(&accept(&listener));
    });
    listening.recv().expect("a server");
    world.namespace.run(move || drop(connect(address)));
    server.wait();
    world.settle(12);
    let witnessed = world.tracefs.transitions();
    for (hook, report) in Hook::ALL.into_iter().zip(at_once(tracers, Tracer::stop)) {
        report.assert_lossless();
        let told = within(&report, &world.slot);
        compare(&told, &witnessed);
        let chains = chains(&told);
        for chain in &chains {
            let here = chain.tuple().lport != world.slot.port(0);
            let inode = if here { world.namespace.inode() } else { peer.inode() };
            for transition in &chain.0 {
                assert_eq!(transition.json["netns"], inode, "the namespace of {transition}");
            }
        }
        assert_chains(hook, chains, &[path(LISTENER), path(CLIENT_FIRST), path(SERVER_SECOND)]);
    }
}
