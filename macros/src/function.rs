//! Reads the function below the attribute, and refuses what can't be called without arguments.

use std::iter::Peekable;

use proc_macro::token_stream::IntoIter;
use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};

/// An `async fn` without generics and arguments.
pub(crate) struct Function {
    pub(crate) attributes: TokenStream,
    pub(crate) visibility: TokenStream,
    pub(crate) name: Ident,
    /// From the `->` on; empty if it returns `()`.
    pub(crate) output: TokenStream,
    pub(crate) body: Group,
}

impl Function {
    /// `attribute` is what the user wrote, for messages.
    pub(crate) fn parse(item: TokenStream, attribute: &str) -> Result<Self> {
        let mut tokens = item.into_iter().peekable();
        let attributes = take_attributes(&mut tokens);
        let visibility = take_visibility(&mut tokens);
        take_qualifiers(&mut tokens, attribute)?;
        let name = match tokens.next() {
            Some(TokenTree::Ident(name)) => name,
            _ => return Err(Error::new(Span::call_site(), "a function has a name")),
        };
        let (output, body) = take_rest(tokens, attribute)?;
        Ok(Self { attributes, visibility, name, output, body })
    }
}

/// The name of the function, if it is one of any kind.
pub(crate) fn name(item: TokenStream) -> Option<Ident> {
    let mut tokens = item.into_iter();
    tokens.find(|token| token.to_string() == "fn")?;
    match tokens.next()? {
        TokenTree::Ident(name) => Some(name),
        _ => None,
    }
}

/// The attributes other than this one.
fn take_attributes(tokens: &mut Peekable<IntoIter>) -> TokenStream {
    let mut attributes = TokenStream::new();
    while let Some(hash) = tokens.next_if(|token| matches!(token, TokenTree::Punct(hash) if hash.as_char() == '#')) {
        attributes.extend([hash]);
        attributes.extend(tokens.next());
    }
    attributes
}

/// `pub`, `pub(crate)`, or nothing; or the group that a macro's `$vis` makes of it.
fn take_visibility(tokens: &mut Peekable<IntoIter>) -> TokenStream {
    let mut visibility = TokenStream::new();
    if let Some(group) = tokens.next_if(|token| has_delimiter(token, Delimiter::None)) {
        visibility.extend([group]);
    } else if let Some(public) = tokens.next_if(|token| token.to_string() == "pub") {
        visibility.extend([public]);
        visibility.extend(tokens.next_if(|token| has_delimiter(token, Delimiter::Parenthesis)));
    }
    visibility
}

/// Takes everything up to the `fn`, and that. An `async` must be all there is.
fn take_qualifiers(tokens: &mut Peekable<IntoIter>, attribute: &str) -> Result<()> {
    let mut is_async = false;
    let mut refused = None;
    loop {
        let (span, word) = match tokens.next() {
            Some(token) => (token.span(), token.to_string()),
            None => (Span::call_site(), String::new()),
        };
        match word.as_str() {
            "fn" if !is_async => return Err(Error::new(span, format!("{attribute} needs an `async fn`"))),
            "fn" => return refused.map_or(Ok(()), Err),
            "async" => is_async = true,
            "const" | "unsafe" | "extern" => {
                let message = format!("{attribute} calls the function, so the function can't be `{word}`");
                refused.get_or_insert_with(|| Error::new(span, message));
            }
            // The ABI.
            text if text.starts_with('"') => {}
            _ => return Err(Error::new(span, format!("{attribute} needs an `async fn`"))),
        }
    }
}

/// Takes what follows the name: no generics, no arguments, the return type, the body.
fn take_rest(mut tokens: Peekable<IntoIter>, attribute: &str) -> Result<(TokenStream, Group)> {
    match tokens.next() {
        Some(TokenTree::Group(arguments)) if arguments.delimiter() == Delimiter::Parenthesis => {
            if !arguments.stream().is_empty() {
                let message = format!("{attribute} calls the function, so the function can't have arguments");
                return Err(Error::new(arguments.span(), message));
            }
        }
        generics => {
            let span = generics.map_or_else(Span::call_site, |token| token.span());
            let message = format!("{attribute} calls the function, so the function can't be generic");
            return Err(Error::new(span, message));
        }
    }
    let mut output: Vec<_> = tokens.collect();
    let end = output.pop();
    let span = end.as_ref().map_or_else(Span::call_site, TokenTree::span);
    let Some(body) = end.and_then(braces) else {
        return Err(Error::new(span, format!("{attribute} needs a function with a body")));
    };
    if let Some(bounds) = output.iter().find(|token| token.to_string() == "where") {
        return Err(Error::new(
            bounds.span(),
            format!("{attribute} calls the function, so the function can't have a `where`"),
        ));
    }
    Ok((output.into_iter().collect(), body))
}

/// A block, also within the invisible group that a macro makes of its `$block`.
fn braces(token: TokenTree) -> Option<Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let mut tokens = group.stream().into_iter();
            tokens.next().filter(|_| tokens.next().is_none()).and_then(braces)
        }
        _ => None,
    }
}

fn has_delimiter(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}
