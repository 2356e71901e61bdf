"""The course's configuration, read by nbgrader and by `course` alike."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "nlp"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# nbgrader copies every file beside a source notebook into the release and the autograded folder.
# These hold the solutions; the names are exact, so that a student's own file is never dropped.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "misconceptions.py",
    "alternatives.py",
    "equivalents.toml",
    "ps1_word2vec.py",
    "ps2_glove_ngrams.py",
    "ps3_rnn_lm.py",
]

# The seam: our executor in the place of nbgrader's, so that `nbgrader autograde`, the formgrader's
# Autograde button and `course grade` all decide scores in the same way.
c.Autograde.exporter_class = "autograder.seam.Exporter"
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

# What student code may import of the course's own, and how long one cell may take, in seconds.
c.Grading.packages = ["lectures"]
c.Grading.cell_seconds = 10
