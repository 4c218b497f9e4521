//! The figures with their targets.

use super::comparison::{costs, floor_ns};
use crate::{
    figures::{Figure, Target},
    measure::TRANSITIONS,
    measured::Measured,
    pairs::Ratios,
    plan::Plan,
    statistics::{median, middle_half, shown},
    tool::Tool,
};

use Target::{AtLeast, AtMost};

/// All figures, in the order of the table.
pub(super) fn figures(tools: &[Tool], measured: &Measured, plan: Plan) -> Vec<Figure> {
    let mut all = kernel(tools, measured, plan);
    all.extend(rates(measured, plan));
    all.extend(user_space(tools, measured));
    all.push(endurance(measured));
    all.push(start(measured));
    all.extend(replay(measured));
    all.push(memory(measured));
    all.extend(idle(measured));
    all
}

fn figure(name: &str, target: Target, unit: &'static str, digits: usize, values: &[f64]) -> Figure {
    Figure { name: name.to_owned(), target, unit, digits, values: values.to_vec(), note: String::new() }
}

impl Figure {
    fn noted(self, note: String) -> Self {
        Self { note, ..self }
    }
}

fn kernel(tools: &[Tool], measured: &Measured, plan: Plan) -> Vec<Figure> {
    let floor = floor_ns(tools, &measured.comparison);
    let transitions = plan.rounds * plan.slices * plan.kernel_connections * TRANSITIONS;
    [
        ("kernel time per streamed transition", 130.0, "tcptrace"),
        ("the same, counting only (`--quiet`)", 20.0, "tcptrace --quiet"),
    ]
    .into_iter()
    .map(|(name, target, tool)| {
        let slices = costs(tools, &measured.comparison, tool).map(|costs| &costs.kernel_ns[..]);
        let above: Vec<f64> = slices.unwrap_or_default().iter().map(|ns| ns - floor).collect();
        let note = format!(
            "`tp_btf`, {transitions} transitions, above an empty program; {} slices, middle half {}",
            above.len(),
            middle_half(&above, 0),
        );
        figure(name, AtMost(target), " ns", 0, &above).noted(note)
    })
    .collect()
}

fn rates(measured: &Measured, plan: Plan) -> Vec<Figure> {
    let Ratios { defaults, everything, with_a_core } = &measured.pairs;
    let note = |ratios| {
        format!("client and server, {} pairs in turns, middle half {}", plan.pairs, middle_half(ratios, 3))
    };
    let spare = format!(
        "; {} ({}) where these two share a core and leave the other to tcptrace",
        shown(median(with_a_core), 3),
        middle_half(with_a_core, 3),
    );
    let name = "connections/s with tracing / without, defaults";
    vec![
        figure(name, AtLeast(0.97), "", 3, defaults).noted(note(defaults) + &spare),
        figure("the same, everything hooked (`--half-open`)", AtLeast(0.92), "", 3, everything)
            .noted(note(everything)),
    ]
}

fn user_space(tools: &[Tool], measured: &Measured) -> Vec<Figure> {
    [("text", "tcptrace"), ("JSON", "tcptrace -o json"), ("CSV", "tcptrace -o csv")]
        .into_iter()
        .map(|(format, tool)| {
            let cpu_us =
                costs(tools, &measured.comparison, tool).map(|costs| &costs.cpu_us[..]).unwrap_or_default();
            let note = format!("user and system, middle half {}", middle_half(cpu_us, 2));
            let name = format!("CPU time of the process per transition, {format} to a file");
            figure(&name, AtMost(0.4), " us", 2, cpu_us).noted(note)
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "millions")]
fn endurance(measured: &Measured) -> Figure {
    let endurance = &measured.endurance;
    let summary = &endurance.summary;
    let seconds = endurance.length.as_secs_f64();
    let note = format!(
        "{} transitions of {} connections in {seconds:.0} s ({:.0}/s), default buffer, JSON to a file; {} only \
         counted, {} missed by the kernel; {} MiB resident at the end",
        summary.seen,
        endurance.connections,
        summary.seen as f64 / seconds,
        summary.sampled_out,
        summary.lost.missed_runs,
        endurance.resident_kib >> 10,
    );
    figure("lost, or only counted, under full load", AtMost(0.0), "", 0, &[summary.all_missing() as f64])
        .noted(note)
}

fn start(measured: &Measured) -> Figure {
    let note =
        format!("{} starts, middle half {}", measured.start_ms.len(), middle_half(&measured.start_ms, 0));
    figure("from the start to the first event", AtMost(100.0), " ms", 0, &measured.start_ms).noted(note)
}

fn replay(measured: &Measured) -> Vec<Figure> {
    let replay = &measured.replay;
    let millions = |rates: &[f64]| -> Vec<f64> { rates.iter().map(|rate| rate / 1e6).collect() };
    let [decode, track, detect] = measured.stages.each_ref().map(|rates| millions(rates));
    let parts = format!(
        "criterion, synthetic connections; decoding alone {}, with tracking {}",
        shown(median(&decode), 1),
        shown(median(&track), 1),
    );
    let whole = format!(
        "`tcptrace diagnose --from`, {} recorded transitions, per second of CPU; by the clock {}",
        replay.events,
        shown(median(&millions(&replay.per_second)), 2),
    );
    let unit = " M events/s";
    vec![
        figure("replay: decoding, tracking, all detectors", AtLeast(5.0), unit, 2, &detect).noted(parts),
        figure("the same, whole process", AtLeast(5.0), unit, 2, &millions(&replay.per_cpu_second))
            .noted(whole),
    ]
}

fn memory(measured: &Measured) -> Figure {
    let memory = &measured.memory;
    let [many, few] = memory.peak_kib.map(|kib| kib >> 10);
    let note = format!(
        "{} open connections, a synthetic capture; {many} MiB resident at the peak, {few} MiB with hardly any",
        memory.connections
    );
    let values = [memory.per_connection()];
    figure("memory of a tracked connection", AtMost(200.0), " bytes", 0, &values).noted(note)
}

#[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
fn idle(measured: &Measured) -> Vec<Figure> {
    let idle = &measured.idle;
    let note = format!(
        "defaults, JSON to a file, {} s, in which the host had {} transitions",
        idle.length.as_secs(),
        idle.seen
    );
    vec![
        figure("an idle host: of one CPU", AtMost(0.1), " %", 3, &[idle.cpu_percent]).noted(note),
        figure("an idle host: resident", AtMost(15.0), " MB", 1, &[idle.resident_kib as f64 * 1.024e-3]),
    ]
}
