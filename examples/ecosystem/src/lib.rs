//! Programs on polyexec and well-known libraries. They are the binaries of this package; README.md lists them.
