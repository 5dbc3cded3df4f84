//! What metrics are in one trial, where several places want to know.

use crate::record::fanout::{KernelScope, Quiet};
use crate::record::trial::Trial;

pub(super) fn per_event(total: u64, events: u64) -> Option<f64> {
    (events > 0).then(|| total as f64 / events as f64)
}

/// CPU of the target's process tree per acknowledged event, ns.
pub fn target_cpu(t: &Trial) -> Option<f64> {
    per_event(t.target?.cpu_ns, t.account.acknowledged_in_window)
}

/// CPU of the driver's threads per acknowledged event, without spinning, ns.
pub fn driver_cpu(t: &Trial) -> Option<f64> {
    per_event(t.driver.cpu_ns, t.account.acknowledged_in_window)
}

/// Requests that subscribers made per delivery read; `None` where none of them makes any.
pub fn requests_per_delivery(t: &Trial) -> Option<f64> {
    let d = &t.fanout.as_ref()?.deliveries;
    per_event(d.requests, d.read_in_window).filter(|_| d.requests > 0)
}

/// Both, because loopback bills much of the receiver's network work to the sender.
pub fn total_cpu(t: &Trial) -> Option<f64> {
    Some(target_cpu(t)? + driver_cpu(t)?)
}

/// Acknowledged events per second of the arm's own time.
pub fn throughput(t: &Trial) -> Option<f64> {
    (t.window_ns > 0).then(|| t.account.acknowledged_by_end as f64 / (t.window_ns as f64 / 1e9))
}

/// CPU of the target's process tree per delivery read, ns.
pub fn target_cpu_per_delivery(t: &Trial) -> Option<f64> {
    per_event(t.target?.cpu_ns, t.fanout.as_ref()?.deliveries.read_in_window)
}

/// CPU of the driver per delivery read, ns.
pub fn driver_cpu_per_delivery(t: &Trial) -> Option<f64> {
    per_event(t.driver.cpu_ns, t.fanout.as_ref()?.deliveries.read_in_window)
}

/// What the target's memory grew by for a subscriber, bytes.
pub fn target_memory(t: &Trial) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    f.target_memory?.each(f.deliveries.subscribers)
}

/// What the driver's memory grew by for a subscriber, bytes.
pub fn driver_memory(t: &Trial) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    f.driver_memory?.each(f.deliveries.subscribers)
}

/// Growth of kernel memory per subscriber in bytes, of any scope.
pub fn kernel_memory(t: &Trial) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    f.kernel_memory?.growth.each(f.deliveries.subscribers)
}

pub(super) fn own_kernel_memory(t: &Trial) -> Option<f64> {
    let own = t.fanout.as_ref()?.kernel_memory?.of == KernelScope::Target;
    kernel_memory(t).filter(|_| own)
}

/// A total of the idle interval per subscriber and minute.
pub(super) fn quiet(t: &Trial, of: fn(&Quiet) -> Option<u64>) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    let q = f.quiet.as_ref()?;
    let minutes = f.deliveries.subscribers as f64 * q.ns as f64 / 60e9;
    (minutes > 0.0).then_some(of(q)? as f64 / minutes)
}
