import java.net.URI;
import java.net.http.*;

/** Calls a URL with a client for each call, or one for all: java JavaHttpClient.java URL CALLS per-call|shared */
class JavaHttpClient {
    public static void main(String[] words) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(words[0])).version(HttpClient.Version.HTTP_1_1).build();
        HttpClient shared = HttpClient.newHttpClient();
        for (int i = 0; i < Integer.parseInt(words[1]); i++) {
            HttpClient client = words[2].equals("shared") ? shared : HttpClient.newHttpClient();
            client.send(request, HttpResponse.BodyHandlers.ofString());
        }
        System.exit(0);
    }
}
