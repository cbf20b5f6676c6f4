//! epoll(7), which the standard library does not have.

pub const IN: u32 = 1;
const ADD: i32 = 1;

#[derive(Clone, Copy, Default)]
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
pub struct Event {
    pub events: u32,
    pub data: u64,
}

unsafe extern "C" {
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epoll: i32, operation: i32, descriptor: i32, event: *mut Event) -> i32;
    fn epoll_wait(epoll: i32, events: *mut Event, most: i32, timeout: i32) -> i32;
}

pub struct Epoll(i32);

impl Epoll {
    pub fn new() -> Self {
        Self(unsafe { epoll_create1(0) })
    }

    pub fn add(&self, descriptor: i32, data: usize) {
        let mut event = Event {
            events: IN,
            data: data as u64,
        };
        assert_eq!(
            unsafe { epoll_ctl(self.0, ADD, descriptor, &mut event) },
            0,
            "epoll_ctl"
        );
    }

    /// Which of them can be read, at the latest after 100 ms.
    pub fn wait(&self, ready: &mut Vec<usize>) {
        let mut events = [Event::default(); 256];
        let count = unsafe { epoll_wait(self.0, events.as_mut_ptr(), 256, 100) };
        ready.clear();
        ready.extend(
            events[..count.max(0) as usize]
                .iter()
                .map(|event| event.data as usize),
        );
    }
}
