// The certified npm package oidc-provider on loopback; prints its port. Arguments: the redirect address of the client,
// the address after a sign-out, the client's secret. Any name signs in; it becomes sub and preferred_username.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirect, afterSignOut, secret] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "tamsoat",
        client_secret: secret,
        redirect_uris: [redirect],
        post_logout_redirect_uris: [afterSignOut],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: `person-${id}`, preferred_username: id }) }),
    pkce: { required: () => true },
    cookies: { keys: ["for tests only"] },
  });
  server.on("request", provider.callback());
  console.log(`port ${server.address().port}`);
});
