/* What bare.c does, without a system call for each step: the kernel accepts by itself, and reads,
 * writes and closes as a chain that is handed to it together with those of other connections
 * (io_uring). One call hands over what there is and waits for more. The request is not looked at
 * and the answer is a constant. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { connections = 1024, entries = 4096, request_room = 8192 };
enum { accepted = 1, of_a_connection };

static const char answer[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, world\n";
static char requests[connections][request_room];

/* The rings that are shared with the kernel: what it is to do, and what it has done. */
static struct {
	int fd;
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *todo;
	struct io_uring_cqe *done;
	unsigned tail, handed; /* how many were put, and how many of them the kernel has */
} ring;

static void die(const char *what) {
	perror(what);
	exit(1);
}

static void *map(size_t size, off_t what) {
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, what);
	if (p == MAP_FAILED) die("mmap");
	return p;
}

static void set_up(void) {
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE, .cq_entries = entries};
	ring.fd = syscall(SYS_io_uring_setup, entries, &p);
	if (ring.fd < 0) die("io_uring_setup");
	char *sq = map(p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	char *cq = map(p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring.todo = map(p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring.done = (void *)(cq + p.cq_off.cqes);
	ring.sq_tail = (void *)(sq + p.sq_off.tail);
	ring.sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring.sq_array = (void *)(sq + p.sq_off.array);
	ring.cq_head = (void *)(cq + p.cq_off.head);
	ring.cq_tail = (void *)(cq + p.cq_off.tail);
	ring.cq_mask = (void *)(cq + p.cq_off.ring_mask);
	struct io_uring_rsrc_register table = {.nr = connections, .flags = IORING_RSRC_REGISTER_SPARSE};
	if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES2, &table, sizeof table) < 0) die("io_uring_register");
}

static struct io_uring_sqe *put(int operation, int fd, unsigned flags) {
	unsigned at = ring.tail++ & *ring.sq_mask;
	ring.sq_array[at] = at;
	memset(&ring.todo[at], 0, sizeof ring.todo[at]);
	ring.todo[at].opcode = operation;
	ring.todo[at].fd = fd;
	ring.todo[at].flags = flags;
	ring.todo[at].user_data = of_a_connection;
	return &ring.todo[at];
}

static void accept_from_now_on(int listener) {
	struct io_uring_sqe *s = put(IORING_OP_ACCEPT, listener, 0);
	s->ioprio = IORING_ACCEPT_MULTISHOT;
	s->file_index = IORING_FILE_INDEX_ALLOC; /* a place in our table, no descriptor */
	s->user_data = accepted;
}

static void answer_one(int place) {
	const unsigned flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
	struct io_uring_sqe *s = put(IORING_OP_RECV, place, flags | IOSQE_IO_LINK);
	s->addr = (unsigned long)requests[place];
	s->len = request_room;
	s = put(IORING_OP_SEND, place, flags | IOSQE_IO_HARDLINK); /* closed, whatever comes of it */
	s->addr = (unsigned long)answer;
	s->len = sizeof answer - 1;
	s->msg_flags = MSG_NOSIGNAL;
	s = put(IORING_OP_CLOSE, 0, IOSQE_CQE_SKIP_SUCCESS);
	s->file_index = place + 1;
}

static void serve(int listener) {
	set_up();
	accept_from_now_on(listener);
	for (;;) {
		atomic_store_explicit((_Atomic unsigned *)ring.sq_tail, ring.tail, memory_order_release);
		int n = syscall(SYS_io_uring_enter, ring.fd, ring.tail - ring.handed, 1, IORING_ENTER_GETEVENTS, NULL, 0);
		if (n < 0 && errno != EINTR) die("io_uring_enter");
		if (n > 0) ring.handed += n;
		unsigned head = *ring.cq_head, tail = atomic_load_explicit((_Atomic unsigned *)ring.cq_tail, memory_order_acquire);
		for (; head != tail; head++) {
			struct io_uring_cqe *c = &ring.done[head & *ring.cq_mask];
			if (c->res < 0 && c->res != -EPIPE && c->res != -ECANCELED) fprintf(stderr, "%s\n", strerror(-c->res));
			if (c->user_data != accepted) continue;
			if (!(c->flags & IORING_CQE_F_MORE)) accept_from_now_on(listener);
			if (c->res >= 0) answer_one(c->res);
		}
		atomic_store_explicit((_Atomic unsigned *)ring.cq_head, head, memory_order_release);
	}
}

int main(int argc, char **argv) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path) {
		fprintf(stderr, "usage: uring socket processes\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0) die(argv[1]);
	for (int n = atoi(argv[2]); n > 0; n--)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(listener);
		}
	pause();
}
