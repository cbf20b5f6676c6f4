import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** Java's HttpClient, which speaks HTTP/2 where it can: prints what servers answer, in turn, or what went wrong. A key is sent along. */
class JavaGet {
    public static void main(String[] urls) throws Exception {
        var client = HttpClient.newHttpClient();
        for (var url : urls) {
            var request = HttpRequest.newBuilder(URI.create(url))
                .header("Authorization", "Bearer " + System.getenv("API_KEY"))
                .build();
            try {
                System.out.print(client.send(request, BodyHandlers.ofString()).body());
            } catch (java.io.IOException error) {
                System.out.println("failed");
            }
        }
    }
}
