//! A tree of tasks: each spawns two and awaits both.

use std::pin::Pin;

use super::{PoolWorkload, nanoseconds_each};
use crate::contestants::{Pool, Spawn};

/// The Fibonacci number `n` by the definition, with a task for each branch.
#[derive(Clone, Copy)]
pub struct Fib {
    pub n: u64,
}

fn task<S>(executor: S, n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>>
where
    S: Spawn + Clone + Send + Sync + 'static,
{
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let left = executor.spawn(task(executor.clone(), n - 1));
        let right = executor.spawn(task(executor.clone(), n - 2));
        left.await + right.await
    })
}

/// The result, and how many tasks it takes.
fn expected(n: u64) -> (u64, u64) {
    let (mut this, mut next) = ((0, 1), (1, 1));
    for _ in 0..n {
        (this, next) = (next, (this.0 + next.0, this.1 + next.1 + 1));
    }
    this
}

impl PoolWorkload for Fib {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (result, tasks) = expected(self.n);
        let inside = pool.inside();
        let (time, output) = nanoseconds_each(tasks, || pool.run(task(inside, self.n)));
        assert_eq!(output, result);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_counted() {
        assert_eq!(expected(0), (0, 1));
        assert_eq!(expected(1), (1, 1));
        assert_eq!(expected(4), (3, 9));
        assert_eq!(expected(22), (17_711, 57_313));
    }
}
