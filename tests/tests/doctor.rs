//! `tcptrace doctor`: what it says is compared with what a trace does, with `/proc` and with tracefs.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tcptrace_tests::{
    host,
    lacking::{CAPABILITIES, CUT_BTF, NO_BTF, NO_TRACEFS, format_of, under},
    machine::{Hook, is_root, tcptrace},
    process::{output, tool},
    tracer::Tracer,
    world::World,
};

/// `nobody` in most distributions.
const NOBODY: u32 = 65_534;

/// A report by its JSON form, checked against the schema.
struct Report {
    json: Value,
    rows: BTreeMap<String, Value>,
    code: Option<i32>,
}

impl Report {
    fn of(mut command: Command, arguments: &[&str]) -> Self {
        let output = output(command.args(["doctor", "-o", "json"]).args(arguments));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(
            text.lines().count(),
            1,
            "one object: {text}; {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> = validator().iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {json:#}");
        let rows = json["rows"].as_array().expect("rows").iter();
        let rows = rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), row.clone())).collect();
        Self { json, rows, code: output.status.code() }
    }

    fn status(&self, name: &str) -> &str {
        self.row(name)["status"].as_str().expect("a status")
    }

    fn found(&self, name: &str) -> &str {
        self.row(name)["found"].as_str().expect("a text")
    }

    fn row(&self, name: &str) -> &Value {
        self.rows.get(name).unwrap_or_else(|| panic!("no row {name} in {:#}", self.json))
    }

    fn assert_status(&self, status: &str, names: &[&str]) {
        for name in names {
            assert_eq!(self.status(name), status, "{name}: {}", self.row(name));
        }
    }
}

fn doctor(arguments: &[&str]) -> Report {
    Report::of(Command::new(tcptrace()), arguments)
}

fn document(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&document("doctor.schema.json")).expect("the schema is JSON");
    jsonschema::options().build(&schema).expect("a JSON Schema")
}

/// A file of the kernel that holds a number or a word.
fn kernel(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
}

const FEATURES: [&str; 8] =
    ["cookie", "netns", "lock", "error", "close_metrics", "kernel_threads", "bundles", "missed_runs"];

/// The facts are those that the kernel's files give, read here by other means.
#[test]
fn facts_are_the_kernels() {
    if !is_root("facts_are_the_kernels") {
        return;
    }
    let _host = host::share();
    let report = doctor(&[]);
    assert!(report.found("kernel").contains(&kernel("/proc/sys/kernel/osrelease")));
    let btf = fs::metadata("/sys/kernel/btf/vmlinux").is_ok();
    assert_eq!(report.status("btf") == "ok", btf, "{}", report.row("btf"));
    let unprivileged = kernel("/proc/sys/kernel/unprivileged_bpf_disabled");
    assert!(report.found("unprivileged_bpf").contains(&format!("= {unprivileged}:")));
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK).expect("it");
    let memlock = report.found("memlock");
    assert!(memlock.contains(&soft.to_string()) || memlock == "unlimited", "{soft}: {memlock}");
    let cgroups = kernel("/proc/self/cgroup");
    let pure = cgroups.lines().all(|line| line.starts_with("0::"));
    assert_eq!(report.found("cgroup") == "version 2", pure, "{cgroups}");
    assert!(report.found("capabilities").contains("CAP_SYS_ADMIN"), "root: {}", report.row("capabilities"));
    assert_eq!(report.status("ring_buffer"), "ok");
}

/// What it says of the hooks is what a trace does with them.
#[test]
fn hooks_are_what_a_trace_uses() {
    if !is_root("hooks_are_what_a_trace_uses") {
        return;
    }
    let _host = host::share();
    let report = doctor(&[]);
    assert_eq!((report.code, &report.json["possible"]), (Some(0), &Value::Bool(true)));
    for hook in Hook::ALL {
        assert_eq!(report.status(hook.name()), "ok", "{}", report.row(hook.name()));
        Tracer::start(hook, &["--quiet"]).stop();
    }
    let tracer = Tracer::spawn(&mut Command::new(tcptrace())).stop();
    let used = format!("({}, ", report.json["hook"].as_str().expect("a hook"));
    assert!(tracer.stderr.contains(&used), "{used} {}", tracer.stderr);
    assert!(report.json["verdict"].as_str().is_some_and(|verdict| verdict.contains("possible here")));
}

/// Nothing of it stays: neither programs nor mounts.
#[test]
fn it_leaves_nothing_behind() {
    if !is_root("it_leaves_nothing_behind") {
        return;
    }
    let _host = host::alone();
    let programs = || -> Vec<u32> {
        aya::programs::loaded_programs().filter_map(|program| Some(program.ok()?.id())).collect()
    };
    let (before, mounts) = (programs(), kernel("/proc/self/mounts"));
    let statistics = kernel("/proc/sys/kernel/bpf_stats_enabled");
    assert_eq!(doctor(&["--measure"]).code, Some(0));
    // The kernel frees programs a moment later.
    for _ in 0..100 {
        if programs().iter().all(|id| before.contains(id)) {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    assert!(programs().iter().all(|id| before.contains(id)), "{before:?}, then {:?}", programs());
    assert_eq!(kernel("/proc/self/mounts"), mounts);
    assert_eq!(kernel("/proc/sys/kernel/bpf_stats_enabled"), statistics);
}

#[test]
fn the_cost_is_measured() {
    if !is_root("the_cost_is_measured") {
        return;
    }
    let _host = host::alone();
    let report = doctor(&["--measure"]);
    let cost = &report.json["cost"];
    let number = |name: &str| cost[name].as_u64().unwrap_or_else(|| panic!("no {name} in {:#}", report.json));
    // Five slices of 400 connections, ten transitions each.
    assert!(number("transitions") >= 20_000, "{cost}");
    let (all, empty) = (number("ns_per_transition"), number("empty_ns"));
    assert!(
        empty > 0 && all > empty && all < 100_000,
        "more than an empty program, less than 0.1 ms: {cost}"
    );
    assert_eq!(number("above_empty_ns"), all - empty);
    assert!(doctor(&[]).json["cost"].is_null(), "only when asked");
}

/// Unprivileged, it says what it could not find out, and that tracing is not possible.
#[test]
fn without_privileges() {
    if !is_root("without_privileges") {
        return;
    }
    let _host = host::share();
    // A copy where any user may run it: the build directory may be private.
    let directory = tempfile::TempDir::new().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let binary = directory.path().join("tcptrace");
    tool("cp", [&tcptrace(), &binary]);
    let as_nobody = || {
        let mut command = Command::new(&binary);
        command.uid(NOBODY).gid(NOBODY);
        command
    };
    let report = Report::of(as_nobody(), &["--measure"]);
    assert_eq!((report.code, &report.json["possible"]), (Some(1), &Value::Bool(false)));
    let verdict = report.json["verdict"].as_str().expect("a text");
    assert!(verdict.contains("not possible") && verdict.contains("sudo"), "{verdict}");
    assert_eq!(verdict.matches("CAP_PERFMON").count(), 1, "said once: {verdict}");
    report.assert_status("missing", &["tp_btf", "tracepoint", "capabilities"]);
    report.assert_status("unknown", &FEATURES);
    report.assert_status("unknown", &["ring_buffer", "tracefs", "others"]);
    assert!(report.json["cost"].is_null() && report.json["cost_error"].is_string());
    let text = stdout(&output(as_nobody().arg("doctor")));
    assert!(text.starts_with("Tracing is not possible here: "), "{text}");
}

#[test]
fn two_capabilities_are_enough_to_trace_but_not_to_measure() {
    if !is_root("two_capabilities_are_enough_to_trace_but_not_to_measure") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under("true", CAPABILITIES), &["--measure"]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tp_btf")));
    assert_eq!(report.found("capabilities"), "CAP_BPF, CAP_PERFMON");
    assert!(report.json["cost"].is_null());
    assert!(report.json["cost_error"].as_str().is_some_and(|why| why.contains("CAP_SYS_ADMIN")));
}

/// Without type information, the features go that need it, and the other hook is taken.
#[test]
fn without_type_information() {
    if !is_root("without_type_information") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(NO_BTF, ""), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tracepoint")));
    report.assert_status("missing", &["tp_btf", "btf", "cookie", "netns", "lock", "error", "close_metrics"]);
    report.assert_status("missing", &["kernel_threads"]);
    report.assert_status("ok", &["tracepoint"]);
    let verdict = report.json["verdict"].as_str().expect("a text");
    assert!(verdict.contains("tp_btf") && verdict.contains("netns"), "what is missing is named: {verdict}");
    for name in ["tp_btf", "netns", "lock", "error"] {
        assert!(report.row(name)["consequence"].is_string(), "what is not seen: {}", report.row(name));
    }
}

/// Damaged is not missing, and a record of another kernel is refused by the name of its field.
#[test]
fn what_is_not_understood_is_named() {
    if !is_root("what_is_not_understood_is_named") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(CUT_BTF, ""), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tracepoint")));
    assert!(report.found("btf").contains("damaged"), "{}", report.row("btf"));
    let report = Report::of(under(&format!("{CUT_BTF}; {}", format_of("rhel-8")), ""), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(1), &Value::Null));
    assert!(report.found("tracepoint").contains("saddr_v6"), "{}", report.row("tracepoint"));
    let verdict = report.json["verdict"].as_str().expect("a text");
    assert!(verdict.contains("damaged") && verdict.contains("saddr_v6"), "both: {verdict}");
    // The layout of RHEL 9 is one that a program can be made for.
    assert_eq!(Report::of(under(&format_of("rhel-9"), ""), &[]).status("tracepoint"), "ok");
}

/// As root, tracefs is mounted for the process alone; with two capabilities it is not, and nobody needs it.
#[test]
fn without_tracefs() {
    if !is_root("without_tracefs") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(NO_TRACEFS, ""), &[]);
    assert_eq!(report.code, Some(0));
    report.assert_status("limited", &["tracefs"]);
    report.assert_status("ok", &["tp_btf", "tracepoint"]);
    let report = Report::of(under(NO_TRACEFS, CAPABILITIES), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tp_btf")));
    report.assert_status("missing", &["tracefs", "tracepoint"]);
    assert!(report.found("tracepoint").contains("mount -t tracefs"), "{}", report.row("tracepoint"));
}

#[test]
fn with_neither_it_fails_and_says_what_to_do() {
    if !is_root("with_neither_it_fails_and_says_what_to_do") {
        return;
    }
    let _host = host::share();
    let neither = format!("{NO_BTF} && {{ {NO_TRACEFS}; }}");
    let report = Report::of(under(&neither, CAPABILITIES), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(1), &Value::Null));
    let verdict = report.json["verdict"].as_str().expect("a text");
    for part in ["not possible", "CONFIG_DEBUG_INFO_BTF=y", "mount -t tracefs"] {
        assert!(verdict.contains(part), "{part:?} is missing in: {verdict}");
    }
}

/// By the process that holds the program, and by the instance of tracefs that records the event.
#[test]
fn others_on_the_event_are_named() {
    if !is_root("others_on_the_event_are_named") {
        return;
    }
    let world = World::new();
    let instance = format!("tracefs instance tcptrace-test-{}", world.slot.number());
    let tracer = Tracer::start(Hook::TpBtf, &["--quiet"]);
    let process = format!("tcptrace[{}]", tracer.pid());
    let report = doctor(&[]);
    assert_eq!(report.status("others"), "limited");
    let found = report.found("others").to_owned();
    assert!(found.contains(&process) && found.contains(&instance), "{process}, {instance}: {found}");
    tracer.stop();
    drop(world);
    let found = doctor(&[]).found("others").to_owned();
    assert!(!found.contains(&process) && !found.contains(&instance), "gone: {found}");
}

/// A classic tracepoint's program is found as well, on this event or, where the kernel does not tell, on some.
#[test]
fn classic_programs_are_named() {
    if !is_root("classic_programs_are_named") {
        return;
    }
    let _host = host::share();
    let tracer = Tracer::start(Hook::Tracepoint, &["--quiet"]);
    let process = format!("tcptrace[{}]", tracer.pid());
    let found = doctor(&[]).found("others").to_owned();
    assert!(found.contains(&process), "{process}: {found}");
    tracer.stop();
}

/// A process that calls itself something terrible does not get through to the terminal.
#[test]
fn hostile_names_are_escaped() {
    if !is_root("hostile_names_are_escaped") {
        return;
    }
    let _host = host::share();
    let directory = tempfile::TempDir::new().expect("a directory");
    let binary = directory.path().join("\u{1b}[31mred");
    tool("cp", [&tcptrace(), &binary]);
    let tracer = Tracer::spawn(Command::new(&binary).args(["--hook", "tp_btf", "--quiet"]));
    let text = stdout(&output(Command::new(tcptrace()).args(["doctor", "--color", "never"])));
    assert!(text.contains("\\x1b[31mred["), "{text}");
    assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{text:?}");
    tracer.stop();
}

/// The table has a line for each row, and colour only where it is wanted.
#[test]
fn the_table_says_what_the_json_form_says() {
    if !is_root("the_table_says_what_the_json_form_says") {
        return;
    }
    let _host = host::alone();
    let report = Report::of(under(NO_BTF, ""), &[]);
    let text = stdout(&output(under(NO_BTF, "").arg("doctor")));
    assert_eq!(text.lines().next(), report.json["verdict"].as_str());
    for (name, row) in &report.rows {
        // What that means stands below it, further in.
        let mut table = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let line = table.find(|line| line.split_whitespace().nth(1) == Some(name));
        let line = line.unwrap_or_else(|| panic!("no line {name} in {text}"));
        assert_eq!(line.split_whitespace().next(), row["status"].as_str(), "{line}");
    }
    assert!(text.contains("means: containers are not told apart"), "{text}");
    assert!(!text.contains('\u{1b}'), "no terminal, no colour: {text}");
    let coloured = output(under(NO_BTF, "").args(["doctor", "--color", "always"]));
    assert!(stdout(&coloured).contains("\u{1b}["));
}

/// Each name is in the schema and in the document, and neither has one that is not printed.
#[test]
fn every_row_is_documented() {
    let report = doctor(&[]);
    let schema: Value = serde_json::from_str(&document("doctor.schema.json")).expect("JSON");
    let names = schema["$defs"]["row"]["properties"]["name"]["enum"].as_array().expect("names");
    let mut described: Vec<&str> = names.iter().map(|name| name.as_str().expect("a name")).collect();
    described.sort_unstable();
    assert_eq!(report.rows.keys().map(String::as_str).collect::<Vec<_>>(), described);
    let page = document("doctor.md");
    for name in report.rows.keys() {
        assert!(page.contains(&format!("\n| `{name}` |")), "docs/doctor.md does not describe {name}");
    }
    // The schema can say no.
    let mut wrong = report.json.clone();
    wrong["rows"][0]["status"] = Value::from("fine");
    assert!(!validator().is_valid(&wrong));
}

#[test]
fn wrong_usage() {
    for arguments in [&["doctor", "-o", "csv"][..], &["doctor", "--hook", "tp_btf"]] {
        assert_eq!(output(Command::new(tcptrace()).args(arguments)).status.code(), Some(2), "{arguments:?}");
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}
