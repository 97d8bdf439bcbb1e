//! What must not compile, each beside the same code with the one change that lets it. Nothing but documentation tests.
//!
//! # Only a future that is `Send` is spawned
//!
//! ```compile_fail,E0277
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! fn spawns(executor: &(impl Executor + Clone)) {
//!     let number = Rc::new(7);
//!     drop(executor.spawn(poll_fn(move |_| Poll::Ready(*number))));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, sync::Arc, task::Poll};
//! fn spawns(executor: &(impl Executor + Clone)) {
//!     let number = Arc::new(7);
//!     drop(executor.spawn(poll_fn(move |_| Poll::Ready(*number))));
//! }
//! ```
//!
//! Nor is one given back by `try_spawn`, or made a task of, but of this thread:
//!
//! ```compile_fail,E0277
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! fn spawns(executor: &(impl Executor + Clone)) {
//!     let number = Rc::new(7);
//!     drop(executor.try_spawn(poll_fn(move |_| Poll::Ready(*number))));
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use polyexec_core::{Executor, executor::Task};
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! fn makes(executor: impl Executor) {
//!     let number = Rc::new(7);
//!     drop(Task::new(poll_fn(move |_| Poll::Ready(*number)), executor));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{Executor, executor::Task};
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! fn makes(executor: impl Executor) {
//!     let number = Rc::new(7);
//!     drop(Task::new_local(poll_fn(move |_| Poll::Ready(*number)), executor));
//! }
//! ```
//!
//! # Only an output that is `Send` comes from a task that is spawned
//!
//! ```compile_fail,E0277
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! fn spawns(executor: &(impl Executor + Clone)) {
//!     drop(executor.spawn(poll_fn(|_| Poll::Ready(Rc::new(7)))));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, sync::Arc, task::Poll};
//! fn spawns(executor: &(impl Executor + Clone)) {
//!     drop(executor.spawn(poll_fn(|_| Poll::Ready(Arc::new(7)))));
//! }
//! ```
//!
//! # A task outlives whoever spawned it, so it borrows nothing
//!
//! ```compile_fail,E0521
//! # use polyexec_core::Executor;
//! fn spawns(executor: &(impl Executor + Clone), text: &str) {
//!     drop(executor.spawn(async move { text.len() }));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! fn spawns(executor: &(impl Executor + Clone), text: &'static str) {
//!     drop(executor.spawn(async move { text.len() }));
//! }
//! ```
//!
//! Nor does its output:
//!
//! ```compile_fail,E0521
//! # use polyexec_core::{Executor, executor::Task};
//! fn makes(executor: impl Executor, text: &str) {
//!     drop(Task::new_local(std::future::ready(text), executor));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{Executor, executor::Task};
//! fn makes(executor: impl Executor, text: &'static str) {
//!     drop(Task::new_local(std::future::ready(text), executor));
//! }
//! ```
//!
//! `block_on` returns after its future's end, which may borrow:
//!
//! ```
//! # use polyexec_core::Executor;
//! fn blocks(executor: &(impl Executor + Clone), text: &str) -> usize {
//!     executor.block_on(async { text.len() })
//! }
//! ```
//!
//! # A handle is as `Send` as the output that it may come to
//!
//! ```compile_fail,E0277
//! # use polyexec_core::{Executor, executor::Task};
//! # use std::{rc::Rc, thread};
//! fn joins(executor: impl Executor) {
//!     let (_task, handle) = Task::new_local(async { Rc::new(7) }, executor);
//!     thread::spawn(move || handle.join().is_ok());
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{Executor, executor::Task};
//! # use std::{sync::Arc, thread};
//! fn joins(executor: impl Executor) {
//!     let (_task, handle) = Task::new_local(async { Arc::new(7) }, executor);
//!     thread::spawn(move || handle.join().is_ok());
//! }
//! ```
//!
//! So is one that aborts when it is dropped:
//!
//! ```compile_fail,E0277
//! # use polyexec_core::{Executor, executor::Task};
//! # use std::{rc::Rc, thread};
//! fn drops(executor: impl Executor) {
//!     let (_task, handle) = Task::new_local(async { Rc::new(7) }, executor);
//!     let owner = handle.abort_on_drop();
//!     thread::spawn(move || drop(owner));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{Executor, executor::Task};
//! # use std::{rc::Rc, thread};
//! fn drops(executor: impl Executor) {
//!     let (_task, handle) = Task::new_local(async { Rc::new(7) }, executor);
//!     // It knows nothing of the output.
//!     let owner = handle.abort_handle();
//!     thread::spawn(move || owner.abort());
//! }
//! ```
//!
//! To share a handle shares no output, so that need not be `Sync`:
//!
//! ```
//! # use polyexec_core::JoinHandle;
//! # use std::{cell::Cell, thread};
//! fn shares(handle: &JoinHandle<Cell<i32>>) {
//!     thread::scope(|threads| drop(threads.spawn(|| handle.is_finished())));
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use polyexec_core::JoinHandle;
//! # use std::{rc::Rc, thread};
//! fn shares(handle: &JoinHandle<Rc<i32>>) {
//!     thread::scope(|threads| drop(threads.spawn(|| handle.is_finished())));
//! }
//! ```
//!
//! # There is one `Task` and one handle of a task
//!
//! ```compile_fail,E0599
//! # use polyexec_core::executor::{Ran, Task};
//! fn runs(task: Task) -> Ran {
//!     task.clone().run()
//! }
//! ```
//!
//! ```compile_fail,E0382
//! # use polyexec_core::executor::{Ran, Task};
//! fn runs(task: Task) -> [Ran; 2] {
//!     [task.run(), task.run()]
//! }
//! ```
//!
//! ```
//! # use polyexec_core::executor::{Ran, Task};
//! fn runs(task: Task) -> Ran {
//!     task.run()
//! }
//! ```
//!
//! ```compile_fail,E0599
//! # use polyexec_core::{JoinError, JoinHandle};
//! fn joins(handle: JoinHandle<i32>) -> Result<i32, JoinError> {
//!     handle.clone().join()
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{JoinError, JoinHandle};
//! fn joins(handle: JoinHandle<i32>) -> Result<i32, JoinError> {
//!     handle.join()
//! }
//! ```
//!
//! # An executor can be reached from every thread
//!
//! ```compile_fail,E0277
//! # use polyexec_core::{Executor, executor::{Rejected, Task}};
//! # use std::{pin::Pin, rc::Rc};
//! struct Mine(Rc<()>);
//!
//! impl Executor for Mine {
//!     fn submit(&self, task: Task) -> Result<(), Rejected> {
//!         Err(Rejected::shut_down(task))
//!     }
//!     fn schedule(&self, task: Task) {
//!         drop(task);
//!     }
//!     fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
//!         polyexec_core::block_on(future);
//!     }
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{Executor, executor::{Rejected, Task}};
//! # use std::{pin::Pin, sync::Arc};
//! struct Mine(Arc<()>);
//!
//! impl Executor for Mine {
//!     fn submit(&self, task: Task) -> Result<(), Rejected> {
//!         Err(Rejected::shut_down(task))
//!     }
//!     fn schedule(&self, task: Task) {
//!         drop(task);
//!     }
//!     fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
//!         polyexec_core::block_on(future);
//!     }
//! }
//! ```
//!
//! # What belongs to a thread stays there
//!
//! A value for one thread may be shared with others, who won't see it; but given away only if it is `Send`:
//!
//! ```compile_fail,E0277
//! # use polyexec_core::executor::ThreadBound;
//! # use std::{rc::Rc, thread};
//! let number = ThreadBound::new(Rc::new(7));
//! thread::spawn(move || drop(number));
//! ```
//!
//! ```compile_fail,E0277
//! # use polyexec_core::executor::ThreadBound;
//! # use std::{rc::Rc, thread};
//! let number = ThreadBound::new(Rc::new(7));
//! thread::scope(|threads| drop(threads.spawn(|| number.get().is_none())));
//! ```
//!
//! ```
//! # use polyexec_core::executor::ThreadBound;
//! # use std::{cell::Cell, thread};
//! let number = ThreadBound::new(Cell::new(7));
//! thread::scope(|threads| drop(threads.spawn(|| number.get().is_none())));
//! thread::spawn(move || drop(number));
//! ```
//!
//! So does the context of a thread:
//!
//! ```compile_fail,E0277
//! # use polyexec_core::{Handle, executor::context};
//! # use std::thread;
//! fn leaves(executor: Handle) {
//!     let entered = context::enter(executor);
//!     thread::spawn(move || drop(entered));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::{Handle, executor::context};
//! # use std::thread;
//! fn leaves(executor: Handle) {
//!     thread::spawn(move || drop(context::enter(executor)));
//! }
//! ```
