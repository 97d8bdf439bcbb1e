//! Makes the code that calls the user's function.

use proc_macro::{Ident, TokenStream, TokenTree};

use crate::function::{self, Function};
use crate::options::{Executor, Options, Place};
use crate::template::template;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    /// As the user wrote it.
    fn name(self) -> &'static str {
        match self {
            Self::Main => "`#[polyexec::main]`",
            Self::Test => "`#[polyexec::test]`",
        }
    }

    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Main => &["executor", "worker_threads", "crate"],
            Self::Test => &["executor", "executors", "worker_threads", "crate"],
        }
    }
}

pub(crate) fn expand(attribute: Attribute, options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::parse(item.clone(), attribute.name()) {
        Ok(function) => function,
        Err(error) => return [error.into_tokens(), stub(item)].into_iter().collect(),
    };
    match Options::parse(options, attribute) {
        Ok(options) => functions(attribute, &function, &options),
        // The function's own errors are shown, too.
        Err(error) => [error.into_tokens(), functions(attribute, &function, &Options::default())].into_iter().collect(),
    }
}

/// A function of the refused one's name: its callers, or the lack of a `main`, aren't further errors.
fn stub(item: TokenStream) -> TokenStream {
    match function::name(item) {
        Some(name) => template("#[allow(dead_code)] fn $name() {}", &|_| TokenTree::from(name.clone()).into()),
        None => TokenStream::new(),
    }
}

fn functions(attribute: Attribute, function: &Function, options: &Options) -> TokenStream {
    match options.place {
        Place::Default => plain(attribute, function, options, &function.name, None),
        Place::On(executor) => plain(attribute, function, options, &function.name, Some(executor)),
        Place::OnEach => {
            let compiled_in = Executor::ALL.into_iter().filter(|executor| executor.is_compiled_in());
            compiled_in
                .map(|executor| {
                    let name = function.name.to_string();
                    let name = format!("{}_{}", name.trim_start_matches("r#"), executor.name());
                    let name = Ident::new(&name, function.name.span());
                    plain(attribute, function, options, &name, Some(executor))
                })
                .collect()
        }
    }
}

/// A function `name` that runs the user's one, which is inside it.
fn plain(
    attribute: Attribute,
    function: &Function,
    options: &Options,
    name: &Ident,
    executor: Option<Executor>,
) -> TokenStream {
    let call = match executor {
        None => "$polyexec::block_on($function())",
        Some(Executor::Pool) if options.worker_threads.is_some() => {
            "$polyexec::Pool::builder().worker_threads($workers).build().expect(\"the pool can't start\").block_on($function())"
        }
        Some(Executor::Pool) => "$polyexec::Pool::new().expect(\"the pool can't start\").block_on($function())",
        Some(Executor::Threaded) => "$polyexec::Threaded::new().block_on($function())",
        Some(Executor::Local) => "$polyexec::Local::new().block_on($function())",
    };
    let test = match attribute {
        Attribute::Main => "",
        Attribute::Test => "#[::core::prelude::v1::test]",
    };
    let text = format!(
        "{test} $attributes $visibility fn $name() $output {{
            async fn $function() $output $body
            {call}
        }}"
    );
    template(&text, &|place| match place {
        "attributes" => function.attributes.clone(),
        "visibility" => function.visibility.clone(),
        "name" => TokenTree::from(name.clone()).into(),
        "output" => function.output.clone(),
        "function" => TokenTree::from(function.name.clone()).into(),
        "body" => TokenTree::from(function.body.clone()).into(),
        "polyexec" => options.polyexec.clone(),
        "workers" => options.worker_threads.clone().map(TokenTree::from).into_iter().collect(),
        other => unreachable!("the template has no place {other}"),
    })
}
