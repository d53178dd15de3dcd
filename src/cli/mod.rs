//! The command line.
pub mod client;
use std::io::Write;
use std::process::ExitCode;
/// x
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let one = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("rt");
    match words[..] {
        ["keeper"] => crate::keeper::main(),
        ["broker", "--detach"] => crate::broker::detach().expect("x"),
        ["broker"] => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("rt")
            .block_on(crate::broker::main()),
        ["call", tool, json] => one().block_on(async {
            let c = match client::Client::connect().await {
                Ok(c) => c,
                Err(e) => {
                    eprintln!("{e}");
                    return ExitCode::FAILURE;
                }
            };
            match c.call(tool, serde_json::from_str(json).expect("json")).await {
                Ok(r) => {
                    let _ = writeln!(std::io::stdout(), "{}", client::text(&r));
                }
                Err(e) => eprintln!("{e}"),
            }
            c.close().await;
            ExitCode::SUCCESS
        }),
        _ => {
            let rt = one();
            let code = rt.block_on(crate::front::main());
            rt.shutdown_background();
            code
        }
    }
}
