//! A Node service, and agents that keep their connections.

use std::process::Command;

use super::{
    Situation,
    checks::Checks,
    client::{Client, get},
    habit::{Habit, work},
    nginx::{BROWSERS, POOL},
    place::{Place, at},
    program,
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 1] = [Situation::honest("node/agents", &["node"], agents)];

/// Replies with a greeting, and on `/count` with the numbers of connections and requests so far.
const SERVICE: &str = "
const http = require('http');
let connections = 0, requests = 0;
const server = http.createServer((request, answer) => {
  requests++;
  const text = request.url === '/count' ? `${connections} ${requests}` : 'hello';
  answer.setHeader('Content-Length', text.length);
  answer.end(text);
});
server.on('connection', () => connections++);
server.listen(3000, '198.51.100.1');
";

/// An agent that keeps its connections: eight, with 200 ms between two requests on each.
const AGENT: &str = "
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const end = Date.now() + Number(process.argv[2]);
let failed = 0, answered = 0;
function ask() {
  if (Date.now() > end) return;
  const request = http.get({ host: '198.51.100.1', port: 3000, agent }, answer => {
    answer.resume();
    answer.on('end', () => { answered++; setTimeout(ask, 200); });
  });
  request.on('error', () => { failed++; setTimeout(ask, 200); });
}
for (let i = 0; i < 8; i++) ask();
setTimeout(() => { agent.destroy(); console.log(`answered ${answered} failed ${failed}`); }, end - Date.now() + 500);
";

/// A service with its default keep-alive of five seconds: an agent, browsers, and clients that connect and stay idle.
fn agents(place: &Place) -> Result<String, String> {
    let mut command = Command::new(program("node"));
    command.arg(place.write("service.js", SERVICE));
    let service = place.serve("node", command, 3000);
    let count = || {
        let text =
            place.clients.run(|| Client::connect(at(3000)).and_then(|mut client| client.get("/count")));
        let text = text.expect("the service tells its count");
        let (connections, _) = text.split_once(' ').expect("two numbers");
        connections.parse::<u64>().expect("a number")
    };
    let before = count();
    let mut watch = Watch::servers(place);
    let time = place.work();
    let mut command = Command::new(program("node"));
    command.arg(place.write("agent.js", AGENT)).arg(time.as_millis().to_string());
    let agent = place.start_in(&place.clients, "agent", command);
    let idle = place.clients.hold(|| Client::served(at(3000), 20, get));
    let made = place.clients.run(move || {
        let browsers = std::thread::spawn(move || work(at(3000), Habit { time, ..BROWSERS }, get));
        let mut made = work(at(3000), Habit { time, ..POOL }, get);
        made += browsers.join().expect("browsers");
        made
    });
    let said = agent.finish(time);
    let diagnosis = watch.diagnosis();
    let came = count() - before;
    drop(idle);
    let ended = watch.ended().accepted(3000);
    drop(service);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    let holds = made.failed == 0 && said.contains("answered ") && said.contains("failed 0");
    checks.that("every request answered", holds, format!("{made:?} {said}"));
    checks.equal("connections", ended.count(), came);
    checks.owned_by("accepted ones", &ended, "node");
    // The service closes connections that are idle for five seconds. Its clients close all others.
    let closed = ended.by("active_close").count() + ended.by("passive_close").count();
    checks.that("all closed by a FIN", closed == ended.count(), ended.causes());
    checks.verdict()
}
