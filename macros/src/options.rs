//! Reads what stands in the attribute's parentheses.

use std::iter::Peekable;

use proc_macro::token_stream::IntoIter;
use proc_macro::{Ident, Literal, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};
use crate::expand::Attribute;

/// An executor of polyexec.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Executor {
    Pool,
    Threaded,
    Local,
}

impl Executor {
    pub(crate) const ALL: [Self; 3] = [Self::Pool, Self::Threaded, Self::Local];

    /// The name of its option and of its feature.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Threaded => "threaded",
            Self::Local => "local",
        }
    }

    pub(crate) fn is_compiled_in(self) -> bool {
        match self {
            Self::Pool => cfg!(feature = "pool"),
            Self::Threaded => cfg!(feature = "threaded"),
            Self::Local => cfg!(feature = "local"),
        }
    }
}

/// Where the function runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Default,
    On(Executor),
    OnEach,
}

pub(crate) struct Options {
    pub(crate) place: Place,
    pub(crate) worker_threads: Option<Literal>,
    /// The path of polyexec.
    pub(crate) polyexec: TokenStream,
}

impl Default for Options {
    fn default() -> Self {
        let polyexec = "::polyexec".parse().expect("a path");
        Self { place: Place::Default, worker_threads: None, polyexec }
    }
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream, attribute: Attribute) -> Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        let mut workers_at = None;
        let mut tokens = tokens.into_iter().peekable();
        while let Some((name, value)) = take_option(&mut tokens, attribute)? {
            let option = name.to_string();
            if seen.contains(&option) {
                return Err(Error::new(name.span(), format!("`{option}` is set twice")));
            }
            match option.as_str() {
                "executor" => options.place = Place::On(executor(&value)?),
                "executors" => options.place = each_executor(&value)?,
                "worker_threads" => {
                    workers_at = Some(name.span());
                    options.worker_threads = Some(number_of_workers(&value)?);
                }
                _ => options.polyexec = path(&value)?,
            }
            seen.push(option);
            if ["executor", "executors"].iter().all(|one| seen.iter().any(|name| name == one)) {
                return Err(Error::new(name.span(), "use `executor` or `executors`, not both"));
            }
        }
        match workers_at {
            Some(span) if !matches!(options.place, Place::On(Executor::Pool) | Place::OnEach) => {
                Err(Error::new(span, "`worker_threads` needs `executor = \"pool\"`"))
            }
            _ => Ok(options),
        }
    }
}

/// Takes `name = value` and the comma after it. `None` at the end.
fn take_option(tokens: &mut Peekable<IntoIter>, attribute: Attribute) -> Result<Option<(Ident, TokenTree)>> {
    let name = match tokens.next() {
        None => return Ok(None),
        Some(TokenTree::Ident(name)) => name,
        Some(other) => return Err(Error::new(other.span(), "expected an option, such as `executor = \"pool\"`")),
    };
    if !attribute.options().contains(&name.to_string().as_str()) {
        let message = format!("unknown option `{name}`; the options are {}", listed(attribute.options(), '`'));
        return Err(Error::new(name.span(), message));
    }
    let example = example(&name);
    let no_value = || Error::new(name.span(), format!("`{name}` needs a value, as in `{example}`"));
    tokens.next_if(|token| is_punct(token, '=')).ok_or_else(no_value)?;
    let value = tokens.next_if(|token| !is_punct(token, ',')).ok_or_else(no_value)?;
    match tokens.next() {
        Some(token) if !is_punct(&token, ',') => Err(Error::new(token.span(), "expected a comma between the options")),
        _ => Ok(Some((name, value))),
    }
}

fn example(option: &Ident) -> &'static str {
    match option.to_string().as_str() {
        "executors" => "executors = \"all\"",
        "worker_threads" => "worker_threads = 4",
        "crate" => "crate = \"path::to::polyexec\"",
        _ => "executor = \"pool\"",
    }
}

fn executor(value: &TokenTree) -> Result<Executor> {
    let Some(executor) = Executor::ALL.into_iter().find(|executor| value.to_string() == quoted(executor.name())) else {
        let known = listed(&Executor::ALL.map(Executor::name), '"');
        return Err(Error::new(value.span(), format!("unknown executor {value}; the executors are {known}")));
    };
    if !executor.is_compiled_in() {
        let name = executor.name();
        return Err(Error::new(value.span(), format!("the executor \"{name}\" needs polyexec's feature `{name}`")));
    }
    Ok(executor)
}

fn each_executor(value: &TokenTree) -> Result<Place> {
    if value.to_string() != quoted("all") {
        return Err(Error::new(
            value.span(),
            "`executors` needs the value \"all\"; for a single executor, use `executor`",
        ));
    }
    if !Executor::ALL.into_iter().any(Executor::is_compiled_in) {
        let features = listed(&Executor::ALL.map(Executor::name), '`');
        let message = format!("no executor is compiled in; polyexec's features for them are {features}");
        return Err(Error::new(value.span(), message));
    }
    Ok(Place::OnEach)
}

fn number_of_workers(value: &TokenTree) -> Result<Literal> {
    let digits = value.to_string().replace('_', "");
    match digits.strip_suffix("usize").unwrap_or(&digits).parse::<usize>() {
        Ok(workers) if workers > 0 => {
            let mut literal = Literal::usize_suffixed(workers);
            literal.set_span(value.span());
            Ok(literal)
        }
        _ => Err(Error::new(value.span(), "`worker_threads` needs a number of 1 or more, as in `worker_threads = 4`")),
    }
}

/// The path in the string `value`, as if it stood there without the quotes.
fn path(value: &TokenTree) -> Result<TokenStream> {
    let text = value.to_string();
    let path = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    let words = path.strip_prefix("::").unwrap_or(path).split("::");
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
    match path.parse::<TokenStream>() {
        Ok(tokens) if words.into_iter().all(is_word) => Ok(at(value.span(), tokens)),
        _ => Err(Error::new(value.span(), "`crate` needs a path in quotes, as in `crate = \"path::to::polyexec\"`")),
    }
}

fn at(span: Span, tokens: TokenStream) -> TokenStream {
    // The user's names, at the place of the string.
    let at_span = |mut token: TokenTree| {
        token.set_span(span.resolved_at(Span::call_site()));
        token
    };
    tokens.into_iter().map(at_span).collect()
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == wanted)
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// `a`, `b` and `c`.
fn listed(names: &[&str], quote: char) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{quote}{name}{quote}")).collect();
    let (last, others) = names.split_last().expect("a list of something");
    format!("{} and {last}", others.join(", "))
}
