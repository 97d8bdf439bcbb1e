//! What may happen to a task on two or three threads, in every order that loom finds. Says nothing of executors' queues. Run
//! by `verify/loom`, with `--cfg polyexec_loom`.
#![cfg(polyexec_loom)]

mod alarm;
mod canaries;
mod common;
mod driver;
mod handles;
mod orders;
mod parker;
mod run_loop;
mod scenario;
mod table;
mod wakes;
