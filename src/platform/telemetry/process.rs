//! What the system knows of this process, by the names that Prometheus' own clients use.

use std::fs;

use super::figures::{Figure, number};

/// `USER_HZ`: the unit of times in `/proc`, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Nothing where there is no `/proc`.
pub fn figures() -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut gauge = |name, help, value: Option<f64>| {
        figures.extend(value.map(|value| Figure::gauge(name, help).with(&[], value)));
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse::<f64>().ok()
    };
    let kilobytes = |name| line(name).map(|kilobytes| kilobytes * 1024.0);
    gauge("process_resident_memory_bytes", "Memory of the process that is in the machine's.", kilobytes("VmRSS:"));
    gauge("process_virtual_memory_bytes", "Addresses that the process has mapped.", kilobytes("VmSize:"));
    gauge("process_threads", "Threads of the process.", line("Threads:"));
    let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    gauge("process_open_fds", "Files and sockets that are open.", open.map(number));
    gauge("process_max_fds", "Files and sockets that may be open.", most_files());
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // the name in parentheses may hold spaces; the third field comes after it
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(parsed).collect();
    let field = |nth: usize| fields.get(nth - 3).copied();
    gauge("process_start_time_seconds", "When the process began.", booted().zip(field(22)).map(began));
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let counter = Figure::counter("process_cpu_seconds_total", "Processor time of the process.");
        figures.push(counter.with(&[], (user + system) / TICKS_PER_SECOND));
    }
    figures
}

fn parsed(text: &str) -> f64 {
    text.parse().unwrap_or_default()
}

fn began((booted, ticks): (f64, f64)) -> f64 {
    booted + ticks / TICKS_PER_SECOND
}

fn booted() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn most_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let figures = figures();
        let value = |name: &str| {
            let figure = figures.iter().find(|it| it.name() == name).unwrap_or_else(|| panic!("no {name}"));
            figure.samples()[0].1
        };
        assert!((1e6..1e11).contains(&value("process_resident_memory_bytes")));
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") > value("process_open_fds"));
        assert!(value("process_threads") >= 1.0 && value("process_cpu_seconds_total") >= 0.0);
        // after 2020, before 2100
        assert!((1.577e9..4.1e9).contains(&value("process_start_time_seconds")));
    }
}
