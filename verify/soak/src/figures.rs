//! The figures that must be zero.

macro_rules! figures {
    ($($figure:ident: $what:literal;)*) => {
        /// How often what must not happen did.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "`rows` says it")]
        pub struct Figures { $(pub $figure: u64,)* }

        impl Figures {
            /// Each figure's name and value, in the order of the report.
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$(($what, self.$figure),)*]
            }

            /// Adds what `other` has.
            pub fn add(&mut self, other: &Self) {
                $(self.$figure += other.$figure;)*
            }
        }
    };
}

figures! {
    lost_wakes: "lost wakes";
    double_polls: "double polls";
    double_drops: "double drops";
    missing_drops: "missing drops";
    wrong_thread_drops: "drops on a wrong thread";
    double_outputs: "outputs delivered twice";
    missing_outputs: "outputs not delivered";
    unresolved: "handles that never resolve";
    wrong_results: "handles with a wrong result";
    hangs: "hangs";
    escaped_panics: "panics of a task's that escaped to others";
    unplanned_panics: "unplanned panics";
    live_cells: "live cells above the start";
    threads: "threads above the start";
    descriptors: "file descriptors above the start";
    hooks: "thread hooks out of balance";
    slow_shutdowns: "shutdowns over 2 s";
}

impl Figures {
    /// Whether all are zero.
    pub fn are_zero(&self) -> bool {
        self.rows().iter().all(|(_, value)| *value == 0)
    }
}
