/* Prints the addresses of each name, as the C library finds them. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **names) {
	for (int at = 1; at < count; at++) {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
		int error = getaddrinfo(names[at], "80", &hints, &found);
		printf("%s:", names[at]);
		if (error) printf(" %s", gai_strerror(error));
		for (; found; found = found->ai_next) {
			char text[64];
			getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
			printf(" %s", text);
		}
		printf("\n");
	}
	return 0;
}
