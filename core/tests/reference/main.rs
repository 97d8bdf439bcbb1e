//! Random operations on one task and its handle, compared with a reference model after each. On one thread: `models` has several.
//!
//! `PROPTEST_CASES` sets the number of sequences. A sequence that fails is shortened, printed, and kept in
//! `core/tests/reference/regressions`; from then on it runs first.

use std::panic::{set_hook, take_hook};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use model::Model;
use operations::{Joiner, Plan, Step};
use subject::Subject;

mod model;
mod operations;
mod subject;

/// They take a second or two.
const CASES: u32 = 20_000;

fn config() -> ProptestConfig {
    // It respects `PROPTEST_CASES`.
    let from_environment = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { from_environment.cases } else { CASES };
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/regressions");
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(regressions)) as Box<_>);
    ProptestConfig { cases, failure_persistence, max_shrink_iters: 100_000, ..from_environment }
}

#[test]
fn a_task_does_what_its_reference_does() {
    // The test polls handles after they were ready, which panics.
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        let is_planned = panic.payload_as_str().is_some_and(|message| message.contains("polled after it was ready"));
        if !is_planned {
            hook(panic);
        }
    }));
    proptest!(config(), |(plan in operations::plan(), steps in operations::steps())| {
        check(&plan, &steps)?;
    });
}

// Not inlined, since its name on the stack identifies deliberate leaks to the sanitizer.
#[inline(never)]
fn check(plan: &Plan, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new(plan);
    let subject = Subject::new(plan);
    compare(&mut model, &subject, &"the birth")?;
    for step in steps {
        model.step(step);
        subject.step(step);
        compare(&mut model, &subject, step)?;
    }
    // A drop may schedule the task or keep something: the future's once, the output's once. So three rounds are enough.
    for leftover in [plan.ending; 3].into_iter().flatten() {
        model.end(leftover);
        subject.end(leftover);
        compare(&mut model, &subject, &leftover)?;
    }
    prop_assert_eq!(subject.is_freed(), model.must_be_freed(), "whether anything is left in the end");
    let is_joined = model.holds(Joiner::Task);
    prop_assert_eq!(subject.frees_joining(), !is_joined, "whether anything is left of the task that joined");
    Ok(())
}

fn compare(model: &mut Model, subject: &Subject, after: &dyn std::fmt::Debug) -> Result<(), TestCaseError> {
    let must_be = std::mem::take(&mut model.events);
    prop_assert_eq!(subject.take_events(), must_be, "events of {:?}", after);
    prop_assert_eq!(subject.queued(), usize::from(model.is_queued()), "queued after {:?}", after);
    prop_assert_eq!(subject.in_table(), usize::from(model.is_in_table()), "in the table after {:?}", after);
    prop_assert_eq!(subject.is_finished(), model.has_handle().then(|| model.is_finished()), "finished, {:?}", after);
    prop_assert_eq!(subject.abort_handles(), vec![model.is_finished(); model.abort_handles()], "after {:?}", after);
    for joiner in [Joiner::A, Joiner::B] {
        prop_assert_eq!(subject.clones(joiner), usize::from(model.holds(joiner)), "{:?} after {:?}", joiner, after);
    }
    prop_assert_eq!(subject.is_freed(), model.is_freed(), "whether it is freed after {:?}", after);
    Ok(())
}
