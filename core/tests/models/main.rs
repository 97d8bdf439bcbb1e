//! A task on two or three threads, in every order that loom finds. `verify/loom` runs these, with `--cfg polyexec_loom`.
//! Executors' queues have models of their own.
#![cfg(polyexec_loom)]

mod alarm;
mod canaries;
mod common;
mod driver;
mod handles;
mod hosted;
mod orders;
mod parker;
mod run_loop;
mod scenario;
mod table;
mod wakes;
