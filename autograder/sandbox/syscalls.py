"""The system calls that student code may make: an allow-list, by group, each with its reason.

What is on no list does not exist (ENOSYS): C libraries then fall back to an older call, which is
also how a kernel newer than this list behaves well. What a program might really try, and must not
have, is refused (EPERM). Names that an architecture lacks are left out.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

from autograder.errors import SandboxError

ALLOWED = {
    "files: the mounts and the owner decide what is reachable": """
        read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek
        open openat creat close close_range dup dup2 dup3 pipe pipe2 fcntl flock
        stat fstat lstat newfstatat statx access faccessat faccessat2 statfs fstatfs
        getdents getdents64 getcwd chdir fchdir umask
        mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat
        symlink symlinkat readlink readlinkat truncate ftruncate fallocate
        chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat
        utime utimes utimensat futimesat
        getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
        sync fsync fdatasync sync_file_range fadvise64 readahead sendfile copy_file_range""",
    "waiting: event loops, selectors, subprocess": """
        poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
        epoll_pwait2 eventfd eventfd2 signalfd signalfd4
        timerfd_create timerfd_settime timerfd_gettime""",
    "memory: bounded by RLIMIT_AS": """
        brk mmap munmap mremap mprotect madvise msync mincore mlock mlock2 munlock
        membarrier get_mempolicy""",
    "processes and threads: bounded by RLIMIT_NPROC, seen by none but their own namespace": """
        fork vfork execve execveat wait4 waitid exit exit_group
        getpid getppid gettid getpgrp getpgid setpgid getsid setsid
        kill tkill tgkill pidfd_open pidfd_send_signal
        rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
        rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack pause restart_syscall
        futex futex_waitv set_tid_address set_robust_list get_robust_list rseq arch_prctl
        sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler
        sched_get_priority_max sched_get_priority_min getcpu getpriority setpriority""",
    "about oneself": """
        getuid geteuid getgid getegid getresuid getresgid getgroups capget
        getrlimit setrlimit prlimit64 getrusage times sysinfo uname""",
    "time and chance": """
        clock_gettime clock_getres clock_nanosleep gettimeofday time nanosleep alarm
        getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
        getrandom""",
    "local sockets: which families, see below; the network namespace is empty besides": """
        bind listen connect accept accept4 getsockname getpeername shutdown
        sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg getsockopt setsockopt""",
}

REFUSED = {
    "looking into or steering another process": """
        ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp""",
    "changing the view of the file system": """
        mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
        mount_setattr swapon swapoff quotactl name_to_handle_at open_by_handle_at
        mknod mknodat""",
    "new namespaces, other namespaces": "unshare setns",
    "keys of the session that started the grading": "add_key request_key keyctl",
    "large attack surfaces of the kernel that no assignment needs": """
        bpf userfaultfd io_uring_setup io_uring_enter io_uring_register perf_event_open
        fanotify_init splice vmsplice tee modify_ldt seccomp landlock_create_ruleset
        shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
        mq_open mq_unlink mq_notify mq_timedsend mq_timedreceive""",
    "memory that no rlimit counts": "memfd_create memfd_secret",
    "the machine itself": """
        kexec_load kexec_file_load init_module finit_module delete_module reboot syslog acct
        settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname
        iopl ioperm vhangup personality ioprio_set sched_setscheduler sched_setattr
        sched_setparam move_pages migrate_pages mbind set_mempolicy""",
    "other identities": """
        setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset""",
}

_AF_UNIX = 1
_NEW_NAMESPACES = (
    0x00020000,  # mount
    0x02000000,  # cgroup
    0x04000000,  # uts
    0x08000000,  # ipc
    0x10000000,  # user
    0x20000000,  # pid
    0x40000000,  # net
)
# TIOCSTI and TIOCLINUX type into a terminal; everything but these few is refused with them.
_IOCTLS = {
    "is it a terminal, how wide": (0x5401, 0x5413),  # TCGETS, TIOCGWINSZ
    "how much waits, do not block, close on exec": (0x541B, 0x5421, 0x5450, 0x5451),
}
_TYPING_IOCTLS = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
# Not PR_SET_PDEATHSIG (the room must end with its owner) and not PR_SET_DUMPABLE.
_PRCTLS = {
    "a thread's name, the name of a mapping": (15, 16, 0x53564D41),
    "reading one's own state": (2, 3, 21, 23, 39),  # PDEATHSIG, DUMPABLE, SECCOMP, CAPBSET, NNP
}


# Without namespaces the other processes of the machine, and the files of whoever grades, are there.
# The student's process is then alone: what it would start could outlive it, and could not be told
# from the processes of others. It may change no owner, mode or time, which Landlock leaves to the
# owner; being told "done" harms no honest program.
_ALONE_ABSENT = """
    fork vfork execve execveat truncate tkill pidfd_open pidfd_send_signal
    socket bind listen connect accept accept4"""
_ALONE_IN_NAME_ONLY = """
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat
    utime utimes utimensat futimesat"""
# fallocate takes disk past RLIMIT_FSIZE, as much as there is in one call; attributes are contents
# that Landlock does not govern. Programs know file systems that have neither.
_ALONE_UNSUPPORTED = """
    fallocate getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr"""
_ALONE_ON_ITSELF = "kill tgkill rt_sigqueueinfo rt_tgsigqueueinfo"
_ALONE_BY_ARGUMENT = "open openat prlimit64 setpriority sched_setaffinity"
# Not F_SETOWN, F_SETOWN_EX, F_SETSIG, F_NOTIFY, F_SETLEASE: they send signals, to others too. Where
# whoever grades owns the packages, a lease on one would also make every other submission that
# opens it wait.
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 36, 37, 38, 1030, 1031, 1032, 1033, 1034)
_ITSELF = 0x5E1F5E1F  # stands for the process's own number until `for_process` puts it in
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_CLONE_THREAD = 0x00010000
_O_ACCMODE = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_SOCK_TYPE, _SOCK_STREAM = 0xF, 1


def _names(groups: dict[str, str]) -> Iterator[str]:
    for text in groups.values():
        yield from text.split()


def program(*, alone: bool = False) -> ctypes.Array[ctypes.c_char]:
    """Return the filter as a BPF program for this machine: made once, loaded by every child.

    With `alone` it is the tighter one for a process without namespaces, to be loaded through
    `for_process`.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise SandboxError(
            f"The sandbox needs libseccomp, which does not load ({error}). "
            "Install it: the package is libseccomp2 (Debian, Ubuntu) or libseccomp (Fedora)."
        ) from error
    made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    # Another architecture's calls (32-bit ones on x86_64) have other numbers: no filter fits them.
    made.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    refuse = pyseccomp.ERRNO(errno.EPERM)

    def add(action: int, name: str, *arguments: "pyseccomp.Arg") -> None:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        if number >= 0:  # negative: this architecture or this libseccomp has no such call
            made.add_rule(action, number, *arguments)

    def equal(place: int, value: int, *, mask: int = 0) -> "pyseccomp.Arg":
        if mask:
            return pyseccomp.Arg(place, pyseccomp.MASKED_EQ, mask, value)
        return pyseccomp.Arg(place, pyseccomp.EQ, value)

    def differs(place: int, value: int) -> "pyseccomp.Arg":
        return pyseccomp.Arg(place, pyseccomp.NE, value)

    special = {"fcntl"}
    if alone:
        named = (
            _ALONE_ABSENT,
            _ALONE_IN_NAME_ONLY,
            _ALONE_UNSUPPORTED,
            _ALONE_ON_ITSELF,
            _ALONE_BY_ARGUMENT,
        )
        special |= {name for text in named for name in text.split()}
    for name in _names(ALLOWED):
        if name not in special:
            add(pyseccomp.ALLOW, name)
    for command in _FCNTLS:
        add(pyseccomp.ALLOW, "fcntl", equal(1, command))
    for name in _names(REFUSED):
        add(refuse, name)

    every = sum(_NEW_NAMESPACES)
    for flag in _NEW_NAMESPACES:
        add(refuse, "clone", equal(0, flag, mask=flag))
    # clone3 hides its flags behind a pointer, where no filter can read: glibc falls back to clone.
    if alone:
        thread = every | _CLONE_THREAD
        add(pyseccomp.ALLOW, "clone", equal(0, _CLONE_THREAD, mask=thread))
        add(refuse, "clone", equal(0, 0, mask=_CLONE_THREAD))
        _add_alone(add, equal, differs, pyseccomp.ALLOW, refuse, pyseccomp.ERRNO(0))
        for name in _ALONE_UNSUPPORTED.split():
            add(pyseccomp.ERRNO(errno.EOPNOTSUPP), name)
        stream = equal(1, _SOCK_STREAM, mask=_SOCK_TYPE)
        add(pyseccomp.ALLOW, "socketpair", equal(0, _AF_UNIX), stream)
        add(refuse, "socketpair", differs(0, _AF_UNIX))
    else:
        add(pyseccomp.ALLOW, "clone", equal(0, 0, mask=every))
        for name in ("socket", "socketpair"):
            add(pyseccomp.ALLOW, name, equal(0, _AF_UNIX))
            add(refuse, name, differs(0, _AF_UNIX))
    for requests in _IOCTLS.values():
        for request in requests:
            add(pyseccomp.ALLOW, "ioctl", equal(1, request))
    for request in _TYPING_IOCTLS:
        add(refuse, "ioctl", equal(1, request, mask=0xFFFFFFFF))
    for options in _PRCTLS.values():
        for option in options:
            add(pyseccomp.ALLOW, "prctl", equal(0, option))

    with os.fdopen(os.memfd_create("filter", os.MFD_CLOEXEC), "w+b") as file:
        made.export_bpf(file)
        file.seek(0)
        code = file.read()
    return ctypes.create_string_buffer(code, len(code))


def _add_alone(
    add: Callable[..., None],
    equal: Callable[..., Any],
    differs: Callable[..., Any],
    allow: int,
    refuse: int,
    pretend: int,
) -> None:
    """Add the rules by which a process without namespaces reaches nothing but itself."""
    for name in _ALONE_ABSENT.split():
        add(refuse, name)
    for name in _ALONE_IN_NAME_ONLY.split():
        add(pretend, name)
    for name in _ALONE_ON_ITSELF.split():
        add(allow, name, equal(0, _ITSELF))
        add(refuse, name, differs(0, _ITSELF))
    for name in ("prlimit64", "sched_setaffinity"):
        for whom in (0, _ITSELF):
            add(allow, name, equal(0, whom))
    add(allow, "setpriority", equal(0, 0), equal(1, 0))
    # The first versions of Landlock do not see that opening for reading can empty a file.
    for name, place in (("open", 1), ("openat", 2)):
        add(allow, name, equal(place, 0, mask=os.O_TRUNC))
        for access in (os.O_WRONLY, os.O_RDWR):
            add(allow, name, equal(place, os.O_TRUNC | access, mask=os.O_TRUNC | _O_ACCMODE))


def for_process(code: ctypes.Array[ctypes.c_char], pid: int) -> ctypes.Array[ctypes.c_char]:
    """Return the filter of a process that is alone, with its own number where it is compared."""
    parts = [list(part) for part in struct.iter_unpack("<HBBI", code.raw)]
    places = [part for part in parts if part[3] == _ITSELF]
    if not places or any(part[0] != _JUMP_IF_EQUAL for part in places):
        raise SandboxError("The system call filter compares no process numbers: report this.")
    for part in places:
        part[3] = pid
    made = b"".join(struct.pack("<HBBI", *part) for part in parts)
    return ctypes.create_string_buffer(made, len(made))
