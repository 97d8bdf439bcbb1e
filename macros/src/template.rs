//! Code as text, with places to fill in.

use proc_macro::{Group, Span, TokenStream, TokenTree};

/// Parses `text`, and puts `fill(name)` where it says `$name`.
///
/// The text's own tokens stand at the attribute, and its variables aren't seen by the user's code.
pub(crate) fn template(text: &str, fill: &dyn Fn(&str) -> TokenStream) -> TokenStream {
    substitute(text.parse().expect("a template is Rust"), fill)
}

fn substitute(tokens: TokenStream, fill: &dyn Fn(&str) -> TokenStream) -> TokenStream {
    let mut filled = TokenStream::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                let name = tokens.next().expect("a name follows a dollar");
                filled.extend(fill(&name.to_string()));
            }
            TokenTree::Group(group) => {
                let group = Group::new(group.delimiter(), substitute(group.stream(), fill));
                filled.extend([at_attribute(group.into())]);
            }
            token => filled.extend([at_attribute(token)]),
        }
    }
    filled
}

fn at_attribute(mut token: TokenTree) -> TokenTree {
    token.set_span(Span::mixed_site());
    token
}
