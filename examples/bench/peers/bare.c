/* The system calls that a uwsgi request costs, and little else: plain accept, read, write and
 * close. The request is not looked at and the answer is a constant. As many processes as asked
 * for wait on one socket, one of them is woken by a connection (EPOLLEXCLUSIVE), and none waits
 * while there are more. It goes to sleep whenever nothing is there, which costs, too: a server
 * that sleeps less often may cost less. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char answer[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, world\n";

static void serve(int listener) {
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	int epoll = epoll_create1(0), loaded = 0;
	char request[8192];
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
		perror("epoll");
		exit(1);
	}
	for (;;) {
		if (!loaded) epoll_wait(epoll, &event, 1, -1);
		int c = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		loaded = c >= 0;
		if (!loaded) continue;
		if (read(c, request, sizeof request) < 0 && errno == EAGAIN) {
			struct pollfd ready = {.fd = c, .events = POLLIN};
			poll(&ready, 1, -1);
			if (read(c, request, sizeof request) < 0) perror("read");
		}
		if (write(c, answer, sizeof answer - 1) < 0) perror("write");
		close(c);
	}
}

int main(int argc, char **argv) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path) {
		fprintf(stderr, "usage: bare socket processes\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0) {
		perror(argv[1]);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN); /* a client that has gone */
	for (int n = atoi(argv[2]); n > 0; n--)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(listener);
		}
	pause();
}
