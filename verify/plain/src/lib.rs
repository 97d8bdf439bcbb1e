//! Nothing but tests of what is different where nothing is optimised: a user's default. `cargo test --profile plain -p
//! polyexec-plain` runs them so; the workspace's own tests optimise a little.
