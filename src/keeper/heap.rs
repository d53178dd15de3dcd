//! Memory that is free, and that the C library keeps all the same for what might come.

/// Gives it to the system. Takes some milliseconds in a large process, and harms nobody in a small one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "glibc's own, which nobody wraps")]
pub fn return_to_system() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: it takes any number, from any thread, and touches nothing but what is free.
    let _ = unsafe { malloc_trim(0) };
}

/// Others give it back by themselves, or cannot.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn return_to_system() {}
