//! Tests only: what differs in a build without optimisation, which is a user's default. `cargo test --profile plain -p
//! polyexec-plain` runs them so; the workspace's own tests optimise a little.
