//! What this process has used.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// User and system time of all threads.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Resident memory now, in KiB.
pub(crate) fn resident_kib() -> Result<u64, Failure> {
    status_kib("VmRSS:")
}

/// Most resident memory since [`forget_peak`], in KiB.
pub(crate) fn peak_kib() -> Result<u64, Failure> {
    status_kib("VmHWM:")
}

/// Lets the peak begin anew at the memory of now.
pub(crate) fn forget_peak() -> Result<(), Failure> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn status_kib(field: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}
