//! What else the machine does while something is timed.

use std::time::Instant;

/// Steal above which a block counts as disturbed, in percent of all CPU time.
const MAX_STEAL_PERCENT: f64 = 2.0;

/// Load above which a block counts as disturbed, in cores.
const MAX_LOAD: f64 = 0.15;

/// Ticks of `/proc/stat` per second: the kernel reports in this unit whatever its own is.
const TICKS_PER_SECOND: f64 = 100.0;

/// The machine's other work in a period; `None` where the system does not tell (only Linux does).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OtherWork {
    /// CPU time that the hypervisor gave to others, in percent.
    pub steal_percent: Option<f64>,
    /// Cores that other processes kept busy.
    pub load: Option<f64>,
    /// Mean clock frequency of the cores at the end.
    pub mhz: Option<f64>,
}

impl OtherWork {
    /// Whether it was enough to affect what was timed.
    pub fn is_disturbing(&self) -> bool {
        self.steal_percent.is_some_and(|steal| steal > MAX_STEAL_PERCENT)
            || self.load.is_some_and(|load| load > MAX_LOAD)
    }
}

/// A period that has begun.
pub struct Period {
    start: Instant,
    before: Option<Ticks>,
}

/// CPU time since the system or this process started.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ticks {
    all: f64,
    busy: f64,
    steal: f64,
    own: f64,
}

impl Period {
    /// Begins a period.
    pub fn begin() -> Self {
        Self { before: ticks(), start: Instant::now() }
    }

    /// Ends it.
    pub fn end(self) -> OtherWork {
        let seconds = self.start.elapsed().as_secs_f64();
        let Some((before, after)) = self.before.zip(ticks()) else { return OtherWork::default() };
        let (all, busy) = (after.all - before.all, after.busy - before.busy);
        let others = (busy - (after.own - before.own)) / TICKS_PER_SECOND / seconds;
        // In a period shorter than a tick nothing is known.
        let known = all > 0.0 && seconds > 1.0 / TICKS_PER_SECOND;
        OtherWork {
            steal_percent: known.then(|| 100.0 * (after.steal - before.steal) / all),
            load: known.then(|| others.max(0.0)),
            mhz: std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| mhz(&text)),
        }
    }
}

fn ticks() -> Option<Ticks> {
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let process = std::fs::read_to_string("/proc/self/stat").ok()?;
    ticks_of(&system, &process)
}

fn ticks_of(system: &str, process: &str) -> Option<Ticks> {
    let line = system.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<f64> = line.split_ascii_whitespace().map_while(|time| time.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user and nice.
    let [user, nice, kernel, idle, io_wait, irq, soft_irq, steal, ..] = times[..] else { return None };
    let busy = user + nice + kernel + irq + soft_irq;
    // The second field is the program's name in parentheses, which may itself contain any character.
    let (_, fields) = process.rsplit_once(')')?;
    let mut own = fields.split_ascii_whitespace().skip(11).map_while(|time| time.parse::<f64>().ok());
    Some(Ticks { all: busy + idle + io_wait + steal, busy, steal, own: own.next()? + own.next()? })
}

fn mhz(cpuinfo: &str) -> Option<f64> {
    let of_core = |line: &str| line.strip_prefix("cpu MHz")?.split_once(':')?.1.trim().parse().ok();
    crate::stats::mean(&cpuinfo.lines().filter_map(of_core).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_reports() {
        let system = "cpu  100 1 20 500 9 2 3 40 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 1\n";
        let process = "7 (a b) c) R 1 1 1 0 -1 4194304 100 0 0 0 30 5 0 0 20 0 1 0 100 1000 10\n";
        let expected = Ticks { all: 675.0, busy: 126.0, steal: 40.0, own: 35.0 };
        assert_eq!(ticks_of(system, process), Some(expected));
        assert_eq!(ticks_of("cpu  1 2\n", process), None);
        assert_eq!(mhz("processor: 0\ncpu MHz\t\t: 2000.5\ncpu MHz\t\t: 3000.5\n"), Some(2500.5));
        assert_eq!(mhz("no frequency\n"), None);
    }

    #[test]
    fn own_work_is_not_other_work() {
        let period = Period::begin();
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < 0.3 {
            std::hint::black_box((0..1000).sum::<u64>());
        }
        let own = ticks().map(|ticks| ticks.own);
        assert_eq!(own.is_some(), period.end().load.is_some());
        assert!(own.is_none_or(|own| own > 0.0));
    }

    #[test]
    fn a_little_work_does_not_disturb() {
        let of = |steal, load| OtherWork { steal_percent: Some(steal), load: Some(load), mhz: None };
        assert!(!of(1.0, 0.1).is_disturbing() && of(3.0, 0.0).is_disturbing() && of(0.0, 0.5).is_disturbing());
        assert!(!OtherWork::default().is_disturbing());
    }
}
