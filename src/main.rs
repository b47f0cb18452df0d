use std::process::ExitCode;

use clap::Parser;

/// A fifth of a request's processor time went into the system's allocator (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // one provider of TLS for everything, before anything could choose another
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Box::pin(huntzen::cli::run(huntzen::cli::Cli::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("huntzen: {}", huntzen::cli::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
