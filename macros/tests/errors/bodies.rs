//! What the compiler finds in a body, it shows there. A wrong path it shows at the option.

#[polyexec::main(crate = "crate::somewhere")]
async fn wrong_type() -> Result<u32, std::fmt::Error> {
    Ok("4")
    // ^^^ mismatched types
}

#[polyexec::test(crate = "crate::somewhere")]
async fn unknown_name() {
      missing();
    //^^^^^^^ cannot find function `missing` in this scope
}

#[polyexec::test(crate = "crate::nowhere")]
//                       ^^^^^^^^^^^^^^^^ cannot find `nowhere` in `crate`
async fn wrong_path() {}

/// Stands for polyexec.
mod somewhere {
    pub fn block_on<F: Future>(_: F) -> F::Output {
        unimplemented!()
    }
}
