//! Code that must not compile, each beside the same code with the one change that makes it compile. Documentation tests only.
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
//! The same holds for `try_spawn` and `Task::new`, but not for `Task::new_local`:
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
//! # Only a future whose output is `Send` is spawned
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
//! # A task may outlive its spawner, so it borrows nothing
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
//! The future of a `block_on` may borrow, since it has ended when `block_on` returns:
//!
//! ```
//! # use polyexec_core::Executor;
//! fn blocks(executor: &(impl Executor + Clone), text: &str) -> usize {
//!     executor.block_on(async { text.len() })
//! }
//! ```
//!
//! A child of a scope may borrow, too, but not from the scope's body, which ends before the child:
//!
//! ```compile_fail,E0373
//! # use polyexec_core::Executor;
//! fn blocks(executor: &(impl Executor + Clone)) {
//!     executor.scope(|s| {
//!         let text = String::from("text");
//!         s.spawn(async { text.len() });
//!     });
//! }
//! ```
//!
//! ```compile_fail,E0597
//! # use polyexec_core::Executor;
//! fn blocks(executor: &(impl Executor + Clone)) {
//!     executor.scope(|s| {
//!         let text = String::from("text");
//!         let text = &text;
//!         s.spawn(async move { text.len() });
//!     });
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! fn blocks(executor: &(impl Executor + Clone)) {
//!     let text = String::from("text");
//!     executor.scope(|s| {
//!         let text = &text;
//!         s.spawn(async move { text.len() });
//!     });
//! }
//! ```
//!
//! Neither the child's handle nor the scope leaves the body; an abort handle may.
//!
//! ```compile_fail
//! # use polyexec_core::{Executor, task::ScopedJoinHandle};
//! fn leaves(executor: &(impl Executor + Clone), text: &str) {
//!     let child = executor.scope(|s| s.spawn(async { text.len() }));
//! }
//! ```
//!
//! ```compile_fail,E0521
//! # use polyexec_core::{Executor, task::ScopedJoinHandle};
//! fn leaves(executor: &(impl Executor + Clone), text: &str) {
//!     let mut child = None;
//!     executor.scope(|s| child = Some(s.spawn(async { text.len() })));
//! }
//! ```
//!
//! ```compile_fail,E0521
//! # use polyexec_core::{Executor, task::Scope};
//! fn leaves(executor: &(impl Executor + Clone)) {
//!     let mut scope = None;
//!     executor.scope(|s| scope = Some(s));
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! fn leaves(executor: &(impl Executor + Clone), text: &str) {
//!     let mut child = None;
//!     executor.scope(|s| child = Some(s.spawn(async { text.len() }).abort_handle()));
//! }
//! ```
//!
//! Nor does the handle leave in a task that may outlive the scope:
//!
//! ```compile_fail,E0521
//! # use polyexec_core::Executor;
//! fn leaves(executor: &(impl Executor + Clone)) {
//!     executor.scope(|s| {
//!         let child = s.spawn(async { 7 });
//!         drop(executor.spawn(async { child.await }));
//!     });
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! fn stays(executor: &(impl Executor + Clone)) {
//!     executor.scope(|s| {
//!         let child = s.spawn(async { 7 });
//!         drop(s.spawn(async { child.await }));
//!     });
//! }
//! ```
//!
//! Two children don't change the same variable, a child takes no future and returns no output that isn't `Send`, and nothing
//! that a child borrows is changed or moved in the body:
//!
//! ```compile_fail,E0499
//! # use polyexec_core::Executor;
//! fn changes(executor: &(impl Executor + Clone), number: &mut i32) {
//!     executor.scope(|s| {
//!         s.spawn(async { *number += 1 });
//!         s.spawn(async { *number += 1 });
//!     });
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use polyexec_core::Executor;
//! # use std::cell::Cell;
//! fn shares(executor: &(impl Executor + Clone), number: &Cell<i32>) {
//!     executor.scope(|s| drop(s.spawn(async { number.get() })));
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! fn returns(executor: &(impl Executor + Clone)) {
//!     executor.scope(|s| drop(s.spawn(poll_fn(|_| Poll::Ready(Rc::new(7))))));
//! }
//! ```
//!
//! ```compile_fail,E0505
//! # use polyexec_core::Executor;
//! fn moves(executor: &(impl Executor + Clone), text: String) {
//!     executor.scope(|s| {
//!         s.spawn(async { text.len() });
//!         drop(text);
//!     });
//! }
//! ```
//!
//! ```
//! # use polyexec_core::Executor;
//! # use std::{future::poll_fn, sync::{Arc, Mutex}, task::Poll};
//! fn does(executor: &(impl Executor + Clone), number: &mut i32, shared: &Mutex<i32>, text: String) {
//!     executor.scope(|s| {
//!         s.spawn(async { *number += 1 });
//!         s.spawn(async { *shared.lock().unwrap() += 1 });
//!         s.spawn(poll_fn(|_| Poll::Ready(Arc::new(7))));
//!         s.spawn(async { text.len() });
//!     });
//!     drop(text);
//! }
//! ```
//!
//! # A handle is `Send` if its output is
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
//! The same holds for `AbortOnDrop`:
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
//!     // An abort handle has no output.
//!     let owner = handle.abort_handle();
//!     thread::spawn(move || owner.abort());
//! }
//! ```
//!
//! Sharing a handle shares no output, so the output need not be `Sync`:
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
//! # An executor is `Send` and `Sync`
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
//! # A thread-bound value stays on its thread
//!
//! Other threads may share it, since they can't access the value. But it moves to another thread only if the value is `Send`:
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
//! The context of a thread stays there, too:
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
