//! How a file is opened: the options of async-fs, for a file of ours.

use std::io;
use std::path::Path;

use super::File;

/// How a [`File`] is opened, as [`std::fs::OpenOptions`] has it. At first every option is `false`.
///
/// # Examples
///
/// ```
/// use polyexec_io::fs::OpenOptions;
///
/// # async fn f() -> std::io::Result<()> {
/// let log = OpenOptions::new().append(true).create(true).open("log.txt").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions(async_fs::OpenOptions);

/// Methods that set one option each.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $option:ident;)+) => {$(
        $(#[doc = $doc])+
        pub fn $option(&mut self, $option: bool) -> &mut Self {
            self.0.$option($option);
            self
        }
    )+};
}

impl OpenOptions {
    /// No option is set.
    pub fn new() -> Self {
        Self::default()
    }

    options! {
        /// It can be read.
        read;
        /// It can be written. What is there is overwritten.
        write;
        /// It can be written, behind what is there.
        append;
        /// It is emptied. Needs `write`.
        truncate;
        /// It is made if it isn't there. Needs `write` or `append`.
        create;
        /// It is made, and must not be there. Needs `write` or `append`.
        create_new;
    }

    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, `PermissionDenied`, `AlreadyExists` and so on; `InvalidInput` if the options don't go together.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it may have made the file, or emptied it.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.0.open(path).await.map(File::of)
    }
}

#[cfg(unix)]
pub(super) mod unix {
    use super::OpenOptions;

    /// Options that only Unix has.
    pub trait OpenOptionsExt: sealed::Sealed {
        /// Who may do what with a file that is made, before the `umask`. At first that is `0o666`.
        fn mode(&mut self, mode: u32) -> &mut Self;

        /// Flags for `open` but for those of how it is accessed.
        fn custom_flags(&mut self, flags: i32) -> &mut Self;
    }

    impl OpenOptionsExt for OpenOptions {
        fn mode(&mut self, mode: u32) -> &mut Self {
            async_fs::unix::OpenOptionsExt::mode(&mut self.0, mode);
            self
        }

        fn custom_flags(&mut self, flags: i32) -> &mut Self {
            async_fs::unix::OpenOptionsExt::custom_flags(&mut self.0, flags);
            self
        }
    }

    mod sealed {
        pub trait Sealed {}

        impl Sealed for super::OpenOptions {}
    }
}

#[cfg(windows)]
pub(super) mod windows {
    use super::OpenOptions;

    /// Options that only Windows has: arguments of `CreateFile`.
    pub trait OpenOptionsExt: sealed::Sealed {
        /// `dwDesiredAccess`.
        fn access_mode(&mut self, access: u32) -> &mut Self;

        /// `dwShareMode`.
        fn share_mode(&mut self, share: u32) -> &mut Self;

        /// The flags of `dwFlagsAndAttributes`.
        fn custom_flags(&mut self, flags: u32) -> &mut Self;

        /// The attributes of `dwFlagsAndAttributes`.
        fn attributes(&mut self, attributes: u32) -> &mut Self;

        /// `dwSecurityQosFlags`.
        fn security_qos_flags(&mut self, flags: u32) -> &mut Self;
    }

    /// Hands each option on.
    macro_rules! options {
        ($($option:ident),+) => {$(
            fn $option(&mut self, $option: u32) -> &mut Self {
                async_fs::windows::OpenOptionsExt::$option(&mut self.0, $option);
                self
            }
        )+};
    }

    impl OpenOptionsExt for OpenOptions {
        options!(access_mode, share_mode, custom_flags, attributes, security_qos_flags);
    }

    mod sealed {
        pub trait Sealed {}

        impl Sealed for super::OpenOptions {}
    }
}
