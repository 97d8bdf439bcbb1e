//! The bounds that ours is held to: one table, by the names of the rows.

use Bound::{AtMost, OfBestPeer, OfLimit, OfPeer};

/// What the median of ours may be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A multiple of the median of the best peer.
    OfBestPeer(f64),
    /// A multiple of the median of this peer.
    OfPeer(&'static str, f64),
    /// A multiple of the median of the limit.
    OfLimit(f64),
    /// So much, in the row's unit.
    AtMost(f64),
}

const BOUNDS: &[(&str, &[Bound])] = &[
    ("spawn_outside", &[OfBestPeer(0.7)]),
    ("spawn_worker", &[OfBestPeer(0.6)]),
    ("spawn_await", &[OfBestPeer(0.6)]),
    ("yields", &[OfBestPeer(1.0)]),
    ("counter", &[OfBestPeer(1.0), OfLimit(1.5)]),
    ("one_counter", &[OfBestPeer(0.6)]),
    ("ping_pong", &[OfBestPeer(0.7)]),
    ("hand_over", &[OfBestPeer(0.7)]),
    ("funnel", &[OfBestPeer(0.8)]),
    ("chain", &[OfBestPeer(0.6)]),
    ("fib", &[OfBestPeer(0.6)]),
    ("wake_outside", &[OfBestPeer(0.5)]),
    ("work", &[OfLimit(1.05)]),
    ("blocked", &[AtMost(50.0)]),
    ("memory", &[AtMost(144.0)]),
    ("local_spawn", &[OfBestPeer(0.6)]),
    ("local_yield", &[OfBestPeer(0.6)]),
    ("local_counter", &[OfBestPeer(0.6)]),
    ("local_ping_pong", &[OfBestPeer(0.6)]),
    ("local_hand_over", &[OfBestPeer(0.6)]),
    ("block_on", &[OfPeer("futures-lite block_on", 1.0)]),
    ("block_on_ready", &[OfPeer("futures-lite block_on", 2.0)]),
    ("block_on_ready_core", &[OfPeer("futures-lite block_on", 2.0)]),
    ("threads_cached", &[OfBestPeer(0.7)]),
    ("threads_fresh", &[OfBestPeer(1.05)]),
    ("join_set", &[OfBestPeer(0.8)]),
    ("scope", &[OfBestPeer(0.8)]),
    ("cancellation", &[OfBestPeer(0.8)]),
    ("child_tokens", &[OfBestPeer(0.8)]),
    ("echo", &[OfPeer("tokio", 0.95)]),
    ("local_echo", &[OfPeer("tokio current_thread", 0.95)]),
    // The system takes most of it.
    ("connections", &[OfBestPeer(1.05)]),
    ("http", &[OfBestPeer(0.95)]),
    // In figures only: an executor that is quick on the whole may let some connections wait for the others.
    ("http_p50", &[]),
    ("http_p99", &[]),
    ("timers", &[OfBestPeer(1.0)]),
    ("timers_late", &[AtMost(2_000.0)]),
    ("spawn_blocking", &[OfBestPeer(1.0)]),
];

/// What growth may do to ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GrowthBound {
    /// The largest median is at most this multiple of the smallest.
    Flat(f64),
    /// The median at one point is at most this multiple of that at another.
    Between { at: &'static str, of: &'static str, ratio: f64 },
    /// The median at this point at most so much.
    AtMost { at: &'static str, value: f64 },
}

const GROWTH_BOUNDS: &[(&str, GrowthBound)] = &[
    ("tasks", GrowthBound::Flat(1.5)),
    ("workers_yields", GrowthBound::Between { at: "64", of: "2", ratio: 1.3 }),
    ("workers_spawn", GrowthBound::Between { at: "64", of: "2", ratio: 1.3 }),
    ("million_waiting", GrowthBound::AtMost { at: "allocated", value: 144.0 }),
];

/// The bounds of a row.
///
/// # Panics
///
/// If the table has none.
pub fn of(row: &str) -> &'static [Bound] {
    BOUNDS.iter().find(|(name, _)| *name == row).map(|(_, bounds)| *bounds).expect("every row has its bounds")
}

/// The bound of a row of the growth part.
///
/// # Panics
///
/// If the table has none.
pub fn of_growth(row: &str) -> GrowthBound {
    GROWTH_BOUNDS.iter().find(|(name, _)| *name == row).map(|(_, bound)| *bound).expect("every row has its bound")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Role;
    use crate::workloads;

    #[test]
    fn every_row_has_its_bounds_and_every_bound_its_row() {
        let mut rows: Vec<_> = workloads::rows().iter().map(|row| row.name).collect();
        rows.sort_unstable();
        let mut bounds: Vec<_> = BOUNDS.iter().map(|(name, _)| *name).collect();
        bounds.sort_unstable();
        assert_eq!(rows, bounds);
        let growth: Vec<_> = workloads::growth().iter().map(|growth| growth.name).collect();
        let bounds: Vec<_> = GROWTH_BOUNDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(growth, bounds);
    }

    #[test]
    fn a_bound_compares_with_somebody_in_its_row() {
        for row in workloads::rows() {
            for bound in row.bounds {
                let role_or_name = |wanted: fn(Role) -> bool, name: Option<&str>| {
                    row.contestants.iter().any(|other| wanted(other.role) && name.is_none_or(|name| other.name == name))
                };
                assert!(match *bound {
                    OfBestPeer(_) => role_or_name(|role| role == Role::Peer, None),
                    OfPeer(name, _) => role_or_name(|role| role == Role::Peer, Some(name)),
                    OfLimit(_) => role_or_name(|role| role == Role::Limit, None),
                    AtMost(_) => true,
                });
            }
        }
        for growth in workloads::growth() {
            match growth.bound {
                GrowthBound::Flat(_) => {}
                GrowthBound::Between { at, of, .. } => assert!([at, of].iter().all(|at| growth.points.contains(at))),
                GrowthBound::AtMost { at, .. } => assert!(growth.points.contains(&at)),
            }
        }
    }
}
