//! Where and with what the bench ran: the machine, and the peers' versions.

use polyexec_verify_support::machine;

/// The lock that this program was built with.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The peers, as the report lists them.
const PEERS: [&str; 9] =
    ["tokio", "async-executor", "async-io", "async-net", "blocking", "futures", "futures-lite", "nexosim", "pollster"];

/// One line for each thing that the figures depend on.
pub fn description() -> Vec<(&'static str, String)> {
    let mut lines = machine::description();
    let peers = PEERS.map(|peer| format!("{peer} {}", version(peer).unwrap_or("?")));
    lines.push(("peers", peers.join(", ")));
    lines
}

/// The version of a package that this program was built with.
pub fn version(package: &str) -> Option<&'static str> {
    machine::version_in(LOCK, env!("CARGO_PKG_NAME"), package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_version() {
        for peer in PEERS {
            assert!(version(peer).is_some(), "{peer}");
        }
    }
}
