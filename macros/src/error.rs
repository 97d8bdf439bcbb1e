//! An error in the user's source, as the compiler shows it.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A message, and the place that it is about.
pub(crate) struct Error {
    span: Span,
    message: String,
}

impl Error {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// `::core::compile_error! { "message" }`, each token at the error's place.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let message = TokenTree::from(Literal::string(&self.message));
        let mut tokens: Vec<TokenTree> = Vec::new();
        for name in ["core", "compile_error"] {
            tokens.push(Punct::new(':', Spacing::Joint).into());
            tokens.push(Punct::new(':', Spacing::Alone).into());
            tokens.push(Ident::new(name, self.span).into());
        }
        tokens.push(Punct::new('!', Spacing::Alone).into());
        tokens.push(Group::new(Delimiter::Brace, message.into()).into());
        for token in &mut tokens {
            token.set_span(self.span);
        }
        tokens.into_iter().collect()
    }
}
