"""What a course configures to be graded by this engine; nbgrader's tests all read it."""

c = get_config()  # noqa: F821

c.Autograde.autograde_preprocessors = [
    "autograder.seam.Execute",
    "nbgrader.preprocessors.LimitOutput",
    "autograder.seam.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "autograder.seam.HideTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
