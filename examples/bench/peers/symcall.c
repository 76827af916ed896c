/* The benchmark's application as C functions for uWSGI's symcall plugin: the least that a
 * request can cost in uWSGI. One function per uWSGI instance, so that none looks at the path,
 * and uWSGI does not even parse the request's variables for it.
 *
 * The functions of uWSGI's core are declared here as uwsgi.h of 2.0 has them, so that
 * building this needs gcc and no headers of uWSGI. A request is only ever handed through. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct wsgi_request;
int uwsgi_response_prepare_headers(struct wsgi_request *, char *, uint16_t);
int uwsgi_response_add_header(struct wsgi_request *, char *, uint16_t, char *, uint16_t);
int uwsgi_response_add_content_length(struct wsgi_request *, uint64_t);
int uwsgi_response_write_body_do(struct wsgi_request *, char *, size_t);

struct page {
	char *bytes;
	size_t length;
};

static struct page hello_page, json_page, body_page;

static struct page load(const char *name) {
	char path[4096];
	struct page p = {0};
	const char *folder = getenv("BENCH_DATA");
	snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END)) { perror(path); exit(1); }
	p.length = ftell(f);
	rewind(f);
	p.bytes = malloc(p.length);
	if (!p.bytes || fread(p.bytes, 1, p.length, f) != p.length) { perror(path); exit(1); }
	fclose(f);
	return p;
}

__attribute__((constructor)) static void load_all(void) {
	hello_page = load("hello");
	json_page = load("json2k");
	body_page = load("body64k");
}

static int serve(struct wsgi_request *r, struct page *p, char *type, uint16_t type_length) {
	if (uwsgi_response_prepare_headers(r, "200 OK", 6)) return -1;
	if (uwsgi_response_add_header(r, "Content-Type", 12, type, type_length)) return -1;
	if (uwsgi_response_add_content_length(r, p->length)) return -1;
	uwsgi_response_write_body_do(r, p->bytes, p->length);
	return 0; /* UWSGI_OK */
}

int hello(struct wsgi_request *r) { return serve(r, &hello_page, "text/plain", 10); }
int json2k(struct wsgi_request *r) { return serve(r, &json_page, "application/json", 16); }
int body64k(struct wsgi_request *r) { return serve(r, &body_page, "text/plain", 10); }
