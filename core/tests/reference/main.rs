//! Sequences of operations on one task and its handle, made up at random, against a reference model that says what must
//! be seen after each of them. One thread only: what threads do to each other is not looked at here.
//!
//! `PROPTEST_CASES` says how many sequences. A sequence that fails is made shorter, printed, and kept in
//! `core/tests/reference/regressions`, whose sequences are run first from then on.

use std::panic::{set_hook, take_hook};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use model::Model;
use operations::{Joiner, Plan, Step};
use subject::Subject;

mod model;
mod operations;
mod subject;

/// So many take a second or two.
const CASES: u32 = 20_000;

fn config() -> ProptestConfig {
    // `PROPTEST_CASES` is in there already, where it is set.
    let from_environment = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { from_environment.cases } else { CASES };
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/regressions");
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(regressions)) as Box<_>);
    ProptestConfig { cases, failure_persistence, max_shrink_iters: 100_000, ..from_environment }
}

#[test]
fn a_task_does_what_its_reference_does() {
    // Handles are polled after they were ready on purpose.
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

// On the stack by its name: what is leaked on purpose is told by it.
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
    // What is dropped may schedule the task, and keep something: a future once, an output once.
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
