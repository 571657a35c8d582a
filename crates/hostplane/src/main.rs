//! The program. Everything is in the library beside it, so that tests can reach it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A look at many sites makes and frees much at once. The system's allocator keeps that for each thread; this one gives
/// it back.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    hostplane::main()
}
