"""Show points in the form of a last value: nbgrader reads partial credit from the first one."""

CELLS = {
    "sign": """
def sign(x):
    shell = get_ipython()
    content = {"execution_count": 1, "data": {"text/plain": "2"}, "metadata": {}}
    hook = shell.displayhook
    send = hook.session.send
    send(hook.pub_socket, "execute_result", content, hook.parent_header, hook.topic)
    return 7
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("sign_hidden", 0) > 0
